"""Programs for the engine's tests that allocate a known number of bytes in torch."""

from collections import OrderedDict
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


class Block(torch.nn.Module):
    """One linear layer; where the file ``looks`` lies in the working directory, it looks at its result."""

    def __init__(self, width):
        super().__init__()
        self.linear = torch.nn.Linear(width, width)

    def forward(self, hidden):
        hidden = self.linear(hidden)
        if Path("looks").exists() and hidden.sum() > 1e9:
            hidden = hidden * 2
        return hidden


def stack(width):
    """Two blocks, one after the other."""
    return torch.nn.Sequential(OrderedDict(first=Block(width), second=Block(width)))


class Stack(Program):
    """A step is a forward pass through two blocks."""

    dry_run = "torch_programs:DryStack"

    def __init__(self, device, width):
        self.width = width
        self.network = stack(width)

    def step(self):
        with torch.no_grad():
            return self.network(torch.ones(4, self.width))


class DryStack:
    """The same on fake tensors."""

    def __init__(self, stand, width):
        self.network = stack(width)
        stand.tracker.watch(self.network)
        self.batch = stand.input(4, (width,), None)

    def step(self):
        with torch.no_grad():
            return self.network(self.batch)


class Reshaped(Program):
    """A compiled step over a batch that is one sample larger each time."""

    def __init__(self, device, width=8):
        self.width = width
        self.network = torch.nn.Sequential(torch.nn.Linear(width, width))
        # What Dynamo keeps books of comes before the backend, so the one that generates no code will do.
        self.call = torch.compile(self.network, backend="eager", dynamic=False)

    def effective(self):
        return {"compile": "default"}, {}

    def step(self):
        self.samples += 1
        return self.call(torch.ones(self.samples, self.width))
