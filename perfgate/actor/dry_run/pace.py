"""Decides how many steps a dry program takes: until two successive steps are alike."""

import gc
from collections.abc import Callable
from typing import Any

from perfgate.actor.dry_run.context import DryContext
from perfgate.actor.dry_run.storages import Allocation
from perfgate.actor.pace import Done

MAX_STEPS = 8
Cells = dict[tuple[str, str], int]


class DryPace:
    """Lets a program step until two successive steps have the same memory and work, and keeps the last step's ledger.

    Args:
        context: the context of the dry run.
        write: writes the ledger of the step that has just ended.
        most: the largest number of steps.

    Attributes:
        account: the last step's ledger; ``None`` before the first step.
        leaked: bytes that the last step allocated and did not free, by module path and part.
        begun: whether a step has begun.
    """

    def __init__(self, context: DryContext, write: Callable[[], dict[str, Any]], most: int) -> None:
        self._context = context
        self._write = write
        self._most = most
        self._before: Cells = {}
        self._told: list[tuple[Any, ...]] = []
        self.account: dict[str, Any] | None = None
        self.leaked: Cells = {}
        self.begun = False

    @property
    def repeats(self) -> bool:
        """Whether the last step was like the one before it."""
        return len(self._told) > 1 and self._told[-1] == self._told[-2]

    @property
    def steps(self) -> int:
        """The number of steps after which all further steps are alike."""
        return len(self._told) - self.repeats

    def begin(self, prepare: Callable[[], None] | None = None) -> None:
        """Begin a step.

        Args:
            prepare: called before the step, and not part of it.

        Raises:
            Done: the last step repeated the one before it, or the largest number was reached.
        """
        if len(self._told) >= self._most or self.repeats:
            raise Done
        if prepare:
            prepare()
        self.begun = True
        tracker = self._context.tracker
        self._before = cells(tracker.storages.kept(0))
        tracker.restart()
        if tracker.syncs:
            tracker.syncs.found.clear()
            tracker.syncs.counting = True

    def end(self, outcome: Any = None, metrics: Any = None) -> None:
        """Write the ledger of the step that has ended."""
        del outcome, metrics
        tracker = self._context.tracker
        if tracker.stopped:
            raise tracker.stopped
        if tracker.syncs:
            tracker.syncs.counting = False
        # Tensors that only reference cycles keep alive are not leaks.
        gc.collect()
        self.account = account = self._write()
        now = cells(tracker.storages.kept(0))
        self.leaked = {key: size - self._before.get(key, 0) for key, size in now.items()}
        level = sum(self._before.values())
        names = ("operator_calls", "flops", "read_bytes", "written_bytes")
        growth = sum(self.leaked.values()), account["peak_memory_bytes"] - level
        self._told.append((*(account[name] for name in names), *growth))


def cells(living: list[Allocation]) -> Cells:
    """The bytes of living allocations by module path and part."""
    found: Cells = {}
    for allocation in living:
        key = allocation.path, allocation.what
        found[key] = found.get(key, 0) + allocation.size_bytes
    return found
