"""A single operator on fake tensors."""

from typing import Any

from perfgate.actor.dry_run.context import DryContext
from perfgate.actor.programs.operators import Single
from perfgate.actor.request import OperatorSettings


class DryOperator:
    """One call of the operator, or of its gradients."""

    def __init__(self, context: DryContext, operator: str, seed: int, sizes: dict[str, int], **settings: Any) -> None:
        self.single = Single(operator, sizes, OperatorSettings(**settings), seed, "cpu")
        self.network = self.single.network
        context.tracker.watch(self.network)
        context.tracker.storages.name(self.single.inputs, "activations", "inputs")
        self.single.prepare()

    def step(self) -> None:
        """Take the step, and keep no result."""
        self.single.step()
        self.single.result = []
