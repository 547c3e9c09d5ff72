"""Programs for the engine's tests that allocate a known number of bytes in torch."""

from pathlib import Path

import torch

from perfgate.actor.programs.base import Program


class Allocate(Program):
    """Holds ``kept`` bytes from the beginning; a step holds ``sizes`` more at the same time."""

    def __init__(self, device, kept, sizes, extra_file=None):
        self.kept = torch.zeros(kept, dtype=torch.uint8)
        self.sizes = sizes
        if extra_file and Path(extra_file).exists():
            self.sizes = [*sizes, int(Path(extra_file).read_text())]

    def step(self):
        held = [torch.zeros(size, dtype=torch.uint8) for size in self.sizes]
        del held
        return torch.ones(1)
