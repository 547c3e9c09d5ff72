"""The base class of instruments, which read metrics from a running program."""

from typing import Any

from perfgate.actor.devices.base import Device


class Instrument:
    """Reads one family of metrics. Its methods are called in the order in which they are defined here.

    Attributes:
        passes: the names of the passes in which it takes part.
        innermost: whether it begins last and ends first, so that it does not measure the work of other instruments.
        by_itself: the name of separate steps, taken after the timed ones, if it takes part only in these; else ``""``.
        steps: the number of steps between ``begin_step`` and ``end_step``; more than one in a burst.
        into: the file or folder that it may write, if the stage named one.
    """

    passes: frozenset[str] = frozenset()
    innermost = False
    by_itself = ""
    steps = 1
    into = ""

    def __init__(self, device: Device) -> None:
        self.device = device

    def start(self) -> None:
        """Called before the program is built."""

    def built(self, program: Any) -> None:
        """Called with the program, before its first step."""

    def begin_step(self) -> None:
        """Called as the last thing before a step, or before the first one of a burst."""

    def end_step(self) -> dict[str, Any]:
        """Called as the first thing after a step or burst; returns the step's metrics, or the means over a burst."""
        return {}

    def finish(self) -> dict[str, Any]:
        """Called after the last step; returns metrics of the launch, or lists with one value for each step."""
        return {}

    def findings(self) -> dict[str, Any]:
        """Called last; returns further information as JSON, by module path if the module is known."""
        return {}
