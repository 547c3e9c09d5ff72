"""The base class of instruments, which read metrics from a running program."""

from typing import Any

from perfgate.actor.devices.base import Device


class Instrument:
    """Reads one family of metrics. The methods are called in the order in which they stand here.

    Attributes:
        passes: in which it takes part.
        innermost: whether it begins last and ends first, so that the others' work is not in what it reads.
        by_itself: what to call steps of its own, after those that are timed, where it takes part in these alone.
        steps: how many steps lie between ``begin_step`` and ``end_step``: more than one in a burst.
    """

    passes: frozenset[str] = frozenset()
    innermost = False
    by_itself = ""
    steps = 1

    def __init__(self, device: Device) -> None:
        self.device = device

    def start(self) -> None:
        """Called before the program is built."""

    def built(self, program: Any) -> None:
        """Called with the program, before its first step."""

    def begin_step(self) -> None:
        """Called as the last thing before a step, or before the first one of a burst."""

    def end_step(self) -> dict[str, Any]:
        """Called as the first thing after a step or burst; returns the metrics of a step, the mean one of a burst."""
        return {}

    def finish(self) -> dict[str, Any]:
        """Called after the last step; returns the launch's metrics, or lists with a value a step."""
        return {}

    def findings(self) -> dict[str, Any]:
        """Called last; returns what else is worth knowing, as JSON: by module path where that is known."""
        return {}
