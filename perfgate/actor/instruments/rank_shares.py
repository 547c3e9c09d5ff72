"""Measures the bytes that one of several ranks holds: weights, gradients, optimizer state."""

import sys
from typing import Any

from perfgate.actor.instrument import Instrument
from perfgate.actor.instruments.memory import stored_bytes


class Shares(Instrument):
    """Reads ``rank_weights_bytes``, ``rank_gradients_bytes`` and ``rank_optimizer_state_bytes``, with several ranks.

    A sharded tensor counts with the rank's own shard. Tensors that are gathered for one layer and freed after it do not
    count.
    """

    passes = frozenset({"counters"})

    def start(self) -> None:
        """Count gradients just before an optimizer uses them, because they may be freed after that."""
        self._gradients_bytes = 0
        self._hook: Any = None
        if "torch" in sys.modules:
            from torch.optim.optimizer import register_optimizer_step_pre_hook  # not every program needs torch

            self._hook = register_optimizer_step_pre_hook(self._before_step)

    def built(self, program: Any) -> None:
        """Keep the program, whose parts are counted at the end."""
        self._program = program
        if program.ranks == 1 and self._hook is not None:
            self._hook.remove()

    def _before_step(self, optimizer: Any, *_: Any) -> None:
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._gradients_bytes = stored_bytes([p.grad for p in parameters if p.grad is not None])

    def finish(self) -> dict[str, Any]:
        """Count the bytes of the program's parts."""
        if self._hook is not None:
            self._hook.remove()
        parts = self._program.parts() if self._program.ranks > 1 else {}
        if "weights" not in parts:
            return {}
        found = {part: stored_bytes(parts[part]) for part in ("weights", "optimizer_state") if part in parts}
        found["gradients"] = self._gradients_bytes
        return {f"rank_{part}_bytes": size for part, size in found.items()}


INSTRUMENT = Shares
