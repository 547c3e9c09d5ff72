"""What a dry program stands on: the fake mode, the tracker, the device's rules, and inputs whose values are known."""

from typing import Any

import numpy as np
import torch

from perfgate.actor.dry_run.cuda_rules import CpuRules
from perfgate.actor.dry_run.known_values import exact_modes
from perfgate.actor.dry_run.refusals import NoDryRun, refuse_compiled, refuse_compiling, refuse_undry
from perfgate.actor.dry_run.tracker import Tracker

__all__ = ["DryContext", "NoDryRun", "refuse_compiled", "refuse_compiling", "refuse_undry"]

KNOWN_INPUTS = 1 << 24  # elements; a larger input stays unknown


class DryContext:
    """Handed to each dry program.

    Attributes:
        fake: the mode in which tensors have no storage.
        tracker: watches every operator.
        rules: what the target device does differently.
    """

    def __init__(self, fake: Any, tracker: Tracker, rules: CpuRules) -> None:
        self.fake = fake
        self.tracker = tracker
        self.rules = rules

    def adopt(self, real: Any) -> Any:
        """A fake tensor in place of a real one, whose values are known."""
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
            # Any value within the range will do: what a model looks at is masks.
            real = torch.full(size, bounds[0], dtype=torch.int64)
        return self.adopt(real)
