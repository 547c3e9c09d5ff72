"""An emulated CUDA card in a program's process: torch's own CUDA code over a driver that computes nothing."""

import functools
import importlib.util
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import torch

from perfgate.actor.devices.base import Record
from perfgate.actor.devices.cuda import Cuda

# The schedulers of diffusers that look a timestep up among those on the device, as far as people use them most.
LOOKING_UP = (
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "FlowMatchEulerDiscreteScheduler",
    "HeunDiscreteScheduler",
    "UniPCMultistepScheduler",
)


class Emulated(Cuda):
    """The card of the profile that the process was started on.

    Raises:
        RuntimeError: this process was not started on an emulated card.
    """

    name = "emulated"

    def __init__(self, threads: int, position: int = 0) -> None:
        super().__init__(threads, position)
        end_generation_by_length()
        begin_schedules_at_their_beginning()

    def peaks(self) -> dict[str, float]:
        """The allocator's counts. Memory that libraries take beside it belongs to the emulation, and is left out."""
        found = super().peaks()
        found.pop("non_torch_memory_bytes", None)
        return found

    def end_record(self) -> Record:
        """The launches of the burst, without times."""
        return replace(super().end_record(), busy_s=None)

    def prove(self, compiled: bool) -> None:
        """Use memory, a stream and a launch; no result is checked, because nothing is computed."""

        def work(x: Any) -> Any:
            return (x * 2 + 1).sum()

        function = torch.compile(work) if compiled else work
        float(function(torch.ones(8, device=self.torch_device)))


def end_generation_by_length() -> None:
    """Make ``generate`` stop by length: whether a token ends a text depends on its value, and no value is computed.

    The device is still asked, so that the same launches and waits are counted.
    """
    if not importlib.util.find_spec("transformers"):
        return
    from transformers.generation import stopping_criteria, utils

    done = {"now": False}
    by_length = stopping_criteria.MaxLengthCriteria.__call__

    def length(self: Any, input_ids: Any, scores: Any, **more: Any) -> Any:
        done["now"] = input_ids.is_cuda and input_ids.shape[1] >= self.max_length
        return by_length(self, input_ids, scores, **more)

    def instead(ask: Any, unfinished: bool) -> Any:
        """Ask the device as before, but answer by length: whether texts are unfinished, or whether they are done."""

        def answer(*arguments: Any, **named: Any) -> bool:
            asked = ask(*arguments, **named)
            if unfinished and asked is True:  # nothing was generated yet, so no value was waited for
                return True
            bool(asked)
            return done["now"] != unfinished

        return answer

    setattr(stopping_criteria.MaxLengthCriteria, "__call__", length)  # noqa: B010  mypy takes it for a method
    mixin = utils.GenerationMixin
    beams = mixin._beam_search_has_unfinished_sequences
    mixin._beam_search_has_unfinished_sequences = staticmethod(instead(beams, unfinished=True))
    if hasattr(utils, "StopCheck"):  # transformers 5.23 and newer
        setattr(utils.StopCheck, "__call__", instead(utils.StopCheck.__call__, unfinished=False))  # noqa: B010
    else:
        mixin._has_unfinished_sequences = instead(mixin._has_unfinished_sequences, unfinished=True)


def begin_schedules_at_their_beginning() -> None:
    """Let a scheduler of diffusers begin with its first timestep: where it finds one is a value, and none is computed.

    The device is asked as before, so that the same launches and the same waits are counted. A pipeline that begins
    within the schedule tells the scheduler so, and then nothing is looked up.
    """
    if "diffusers" not in sys.modules:
        return
    import diffusers  # optional

    for name in LOOKING_UP:
        scheduler = getattr(diffusers, name, None)
        if scheduler is not None:
            scheduler.index_for_timestep = beginning(scheduler.index_for_timestep)


def beginning(ask: Callable[..., int]) -> Callable[..., int]:
    """Ask as before, and answer with the first position."""

    @functools.wraps(ask)
    def answer(scheduler: Any, timestep: Any, *more: Any, **named: Any) -> int:
        with suppress(IndexError):  # of the rows found there is none
            ask(scheduler, timestep, *more, **named)
        if isinstance(timestep, torch.Tensor):
            timestep.item()  # in place of the position, which is read from the device
        return 0

    return answer
