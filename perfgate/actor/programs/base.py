"""The base class of programs: built once, a program takes step after step."""

from typing import Any

from perfgate.actor.pace import Pace
from perfgate.actor.phases import Phases
from perfgate.actor.tensors import stored_tensors

ITSELF = "itself"
OUTCOME_VALUES = 1024  # of a large outcome
OUTCOME_STEPS = 3  # whose outcome is kept: those of the pass that asks for it


class Program:
    """A workload built inside a process.

    A subclass takes ``device`` and the workload's parameters as keyword arguments, does all set-up in ``__init__``, and
    defines ``step``; one that hands its loop to a library overrides ``drive`` instead.

    Attributes:
        dry_run: how it runs on fake tensors: ``itself``, by set-up and steps of this very class; the import path
            ``module:Class`` of another class that stands for it; or ``None`` where its effects must not happen dry.
        why_not_dry: the reason for ``dry_run = None``, as a clause for people.
        keeps_outcome: whether ``outcome`` will be asked for; else nothing of it is kept, as that takes memory.
        network: the model that it runs, if it runs one.
        rates_of: type of numbers in which the device's peak rates are measured beside each step; ``None`` for none.
        threaded: whether a thread of its own does the work, whose allocations the CPU's profiler does not see.
        phases: where it tells when it waits for data and when it works forward, backward and on the weights.
        samples: how many samples a step handles.
        tokens: how many real (unpadded) tokens a step handles; 0 where there are none.
        ranks: how many processes share a step; samples and tokens are those of all of them.
    """

    dry_run: str | None = ITSELF
    why_not_dry: str = ""
    samples: int = 1
    tokens: int = 0
    ranks: int = 1
    keeps_outcome: bool = False
    network: Any = None
    phases: Phases | None = None
    rates_of: Any = None
    threaded: bool = False

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings that were asked for, and those in force, by the same names; called after the last step.

        A launch is rejected where one that was asked for is missing among those in force, or differs.
        """
        return {}, {}

    def outcome(self) -> dict[str, list[float]]:
        """The results of the last steps, by name: ``tokens``, ``losses`` or ``logits``; called after the last step."""
        return {}

    def parts(self) -> dict[str, Any]:
        """The tensors that last from step to step, by the part of memory that they are: ``weights``, ..."""
        if self.network is None:
            return {}
        return {"weights": stored_tensors(self.network), "buffers": list(self.network.buffers())}

    def step(self) -> Any:
        """Do the unit of work that is timed; returns tensors that must be finite, or ``None``."""
        raise TypeError(f"{type(self).__name__} defines neither step() nor drive()")

    def drive(self, pace: Pace) -> None:
        """Take a step each turn until the stage wants no more."""
        while True:
            pace.begin()
            pace.end(self.step())
