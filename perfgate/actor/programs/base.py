"""The base class of programs: built once, a program takes step after step."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from perfgate.actor.pace import Pace
from perfgate.actor.phases import Phases
from perfgate.actor.tensors import stored_tensors

ITSELF = "itself"
OUTCOME_VALUES = 1024  # the number of values kept of a large outcome
OUTCOME_STEPS = 3  # the number of steps whose outcomes are kept


class Program:
    """A workload built inside a process.

    A subclass takes ``device`` and the workload's parameters as keyword arguments, does all set-up in ``__init__``, and
    defines ``step``. If a library owns its loop, it overrides ``drive`` instead.

    Attributes:
        dry_run: how it runs on fake tensors: ``itself``, with the set-up and the steps of this class; the import path
            ``module:Class`` of a class that runs dry in its place; or ``None`` if it must not run dry.
        why_not_dry: the reason for ``dry_run = None``, as a clause for people.
        keeps_outcome: whether ``outcome`` will be called. If not, outcomes need not be kept, which saves memory.
        network: the model that it runs, or ``None``.
        rates_of: the number type in which the device's peak rates are measured after each step; ``None`` for no rates.
        host_work: whether its steps work only on the host, such as reading data: then there is no dry run, and the
            host's memory counts.
        repeats_calls: whether each step enters the same functions of Python, so that they can be counted; compiling
            does not.
        threaded: whether a thread of its own does the work; the CPU's profiler does not see that thread's allocations.
        components: the networks of a pipeline by name, each at work by itself; their peaks of memory are told apart.
        phases: marks waiting for data, forward pass, backward pass and optimizer within a step; ``None`` for no phases.
        samples: the number of samples in a step.
        tokens: the number of real (unpadded) tokens in a step; 0 if there are none.
        ranks: the number of processes that share a step; samples and tokens are those of all ranks together.
    """

    dry_run: str | None = ITSELF
    why_not_dry: str = ""
    samples: int = 1
    tokens: int = 0
    ranks: int = 1
    keeps_outcome: bool = False
    network: Any = None
    components: Mapping[str, Any] = MappingProxyType({})
    phases: Phases | None = None
    rates_of: Any = None
    host_work: bool = False
    threaded: bool = False
    repeats_calls: bool = True

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings that were asked for and those that are in force, by the same names; called after the last step.

        A launch is rejected if a setting that was asked for is missing among those in force, or has another value.
        """
        return {}, {}

    def outcome(self) -> dict[str, list[float]]:
        """The results of the last steps, by name: ``tokens``, ``losses`` or ``logits``; called after the last step."""
        return {}

    def parts(self) -> dict[str, Any]:
        """The tensors that last from step to step, by their part of memory, such as ``weights``."""
        if self.network is None:
            return {}
        return {"weights": stored_tensors(self.network), "buffers": list(self.network.buffers())}

    def step(self) -> Any:
        """Do the unit of work that is timed; return tensors whose values must be finite, or ``None``."""
        raise TypeError(f"{type(self).__name__} defines neither step() nor drive()")

    def drive(self, pace: Pace) -> None:
        """Take a step on each turn until the stage is done."""
        while True:
            pace.begin()
            pace.end(self.step())
