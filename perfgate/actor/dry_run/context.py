"""The context of a dry program: the fake mode, the tracker, the device's rules, and known inputs."""

from typing import Any

import numpy as np
import torch

from perfgate.actor.dry_run.cpu_rules import CpuRules
from perfgate.actor.dry_run.known_values import exact_modes
from perfgate.actor.dry_run.refusals import NoDryRun, refuse_compiled, refuse_compiling, refuse_undry
from perfgate.actor.dry_run.tracker import Tracker

__all__ = ["DryContext", "NoDryRun", "refuse_compiled", "refuse_compiling", "refuse_undry"]

KNOWN_INPUTS = 1 << 24  # elements; a larger input stays unknown


class DryContext:
    """The first argument of each dry program.

    Attributes:
        fake: the mode in which tensors have no data.
        tracker: accounts for every operator.
        rules: the differences between the target device and a CPU.
    """

    def __init__(self, fake: Any, tracker: Tracker, rules: CpuRules) -> None:
        self.fake = fake
        self.tracker = tracker
        self.rules = rules

    def adopt(self, real: Any) -> Any:
        """Make a fake tensor from a real one, whose values the dry run then knows."""
        with exact_modes():
            fake = self.fake.from_tensor(real)
        self.tracker.storages.see(fake, None, "inputs")
        self.tracker.storages.name([fake], "activations")
        return self.tracker.known.know(fake, real)

    def adopt_all(self, batch: dict[str, Any]) -> dict[str, Any]:
        """A fake batch in place of a real one, whose values are known."""
        return {name: self.adopt(values) for name, values in batch.items()}

    def input(self, batch_size: int, shape: tuple[int, ...], bounds: tuple[int, int] | None) -> Any:
        """A batch of one column: whole numbers from a range, which are known, or real numbers, which are not."""
        size = (batch_size, *shape)
        if bounds is None or int(np.prod(size)) > KNOWN_INPUTS:
            made = torch.empty(size, dtype=torch.float32 if bounds is None else torch.int64)
            self.tracker.storages.name([made], "activations", "inputs")
            return made
        with exact_modes():
            # Any value within the range works, because models read only the values of masks.
            real = torch.full(size, bounds[0], dtype=torch.int64)
        return self.adopt(real)
