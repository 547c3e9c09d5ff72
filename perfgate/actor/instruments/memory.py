"""Measures the peak bytes of tensors on the CPU, from the profiler's record of every allocation.

The CPU allocator keeps no count of its own. The profiler watches from before the model is built, so the running sum of
its ``[memory]`` events is the memory in use, and the highest sum within a step's time is that step's peak. The
profiler slows the program several times over, so no time is measured in this pass. It sees one thread's allocations
only, so transformers, which would convert weights on other threads while loading, is told to use the loading thread.
If a step computes on a thread of the program's own, there is no peak.
"""

import os
import sys
import time
from bisect import bisect
from contextlib import ExitStack
from functools import cached_property, partial
from typing import Any

from perfgate.actor.devices.base import Device
from perfgate.actor.instrument import Instrument
from perfgate.actor.techniques.components import around
from perfgate.actor.tensors import inner_tensors

ON_ONE_THREAD = "HF_DEACTIVATE_ASYNC_LOAD"
Window = tuple[int, int]  # beginning and end, in ns
Change = tuple[int, int]  # time in ns, and bytes


class TensorMemory(Instrument):
    """Reads ``peak_memory_bytes`` of each step on the CPU, and the measured bytes of each part on any device.

    Of a pipeline it reads ``NAME_peak_bytes`` on the CPU too: the peak of all memory while a component is at work.
    """

    passes = frozenset({"memory"})

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._profile: Any = None
        self._begin_ns = 0
        self._windows: list[Window] = []
        self._calls: list[tuple[str, Window]] = []
        self._threads = ExitStack()
        self._elsewhere = False

    def start(self) -> None:
        """Start the profiler, unless torch was not imported: such a program has no tensors."""
        if "torch" not in sys.modules or self.device.name != "cpu":
            return
        os.environ[ON_ONE_THREAD] = "1"
        from torch.profiler import ProfilerActivity, profile  # passes that measure no memory do not need it

        from perfgate.actor.dry_run.threads import watched

        self._threads.enter_context(watched(self._seen_elsewhere))
        self._profile = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
        self._profile.start()

    def _seen_elsewhere(self) -> None:
        self._elsewhere = self._elsewhere or self._begin_ns > 0

    def built(self, program: Any) -> None:
        """Keep the program, whose parts are measured at the end."""
        self._program = program
        if (program.threaded or program.host_work) and self._profile is not None:
            # The profiler sees the allocations of this thread only, and of tensors only.
            self._profile.stop()
            self._profile = None
        if self._profile is not None:
            for name, part in program.components.items():
                around(part, self._begun, partial(self._ended, f"{name}_peak_bytes"))

    def _begun(self) -> None:
        self._call_ns = time.time_ns()

    def _ended(self, name: str) -> None:
        self._calls.append((name, (self._call_ns, time.time_ns())))

    def begin_step(self) -> None:
        """Note the beginning of the step, in nanoseconds since the epoch as in the profiler's events."""
        self._begin_ns = time.time_ns()

    def end_step(self) -> dict[str, float]:
        """Note the end of the step."""
        self._windows.append((self._begin_ns, time.time_ns()))
        return {}

    def finish(self) -> dict[str, Any]:
        """Replay the allocations and take the highest level within each step; no peak if there were no tensors."""
        self._threads.close()
        parts = {f"measured_{part}_bytes": size for part, size in self._by_part.items()}
        if self._profile is None:
            return parts
        self._profile.stop()
        if self._elsewhere:
            return parts
        changes = allocations(self._profile)
        found = peaks(changes, self._windows)
        return {"peak_memory_bytes": found, **self._by_component(changes), **parts} if any(found) else parts

    def _by_component(self, changes: list[Change]) -> dict[str, list[int]]:
        """The highest level of each component's calls, for each step."""
        found = {name: [0] * len(self._windows) for name, _ in self._calls}
        highest = peaks(changes, [window for _, window in self._calls])
        ends = [end for _, end in self._windows]
        for (name, (begin, _)), peak in zip(self._calls, highest, strict=True):
            step = bisect(ends, begin)
            found[name][step] = max(found[name][step], peak)
        return found

    def findings(self) -> dict[str, Any]:
        """Bytes of weights, buffers and optimizer state."""
        return {"measured_by_part_bytes": self._by_part}

    @cached_property
    def _by_part(self) -> dict[str, int]:
        """The bytes of each part that the program names; a storage that several tensors share counts once."""
        return {part: stored_bytes(tensors) for part, tensors in self._program.parts().items()}


def stored_bytes(tensors: list[Any]) -> int:
    """The bytes of all storages of some tensors; for a tensor that is sharded between ranks, only this rank's shard."""
    own = [inner for tensor in tensors for inner in inner_tensors(tensor)]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in own}
    return sum(storages.values())


def allocations(profiler: Any) -> list[Change]:
    """All allocations (positive) and releases (negative) on the CPU, each with its time in ns and its bytes."""
    events = profiler.profiler.kineto_results.events()
    return sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")


def peaks(changes: list[Change], windows: list[Window]) -> list[int]:
    """The highest number of bytes in use within each window, including its beginning.

    Args:
        changes: time and change in bytes, sorted by time.
        windows: beginning and end, in order and not overlapping.
    """
    result = []
    level = position = 0
    for begin, end in windows:
        while position < len(changes) and changes[position][0] < begin:
            level += changes[position][1]
            position += 1
        highest = level
        while position < len(changes) and changes[position][0] <= end:
            level += changes[position][1]
            highest = max(highest, level)
            position += 1
        result.append(highest)
    return result


INSTRUMENT = TensorMemory
