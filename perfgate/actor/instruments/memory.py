"""Peak bytes of tensors on the CPU, from the profiler's record of every allocation.

The CPU allocator keeps no count of its own. The profiler watches from before the model is built, so the running sum of
its ``[memory]`` events is the memory in use, and the highest sum within a step's time is that step's peak. The profiler
slows the program several times over, so no time is measured in this pass.
"""

import sys
import time
from functools import cached_property
from typing import Any

from perfgate.actor.devices.base import Device
from perfgate.actor.instrument import Instrument
from perfgate.actor.tensors import inner_tensors


class TensorMemory(Instrument):
    """``peak_memory_bytes`` of each step on the CPU; on any device ``measured_weights_bytes`` and its like."""

    passes = frozenset({"memory"})

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._profile: Any = None
        self._begin_ns = 0
        self._windows: list[tuple[int, int]] = []

    def start(self) -> None:
        """Begin to watch; a program that has not imported torch has no tensors."""
        if "torch" not in sys.modules or self.device.name != "cpu":
            return
        from torch.profiler import ProfilerActivity, profile  # not needed by passes that take no memory

        self._profile = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
        self._profile.start()

    def built(self, program: Any) -> None:
        """Keep the program, to ask it at the end for its parts."""
        self._program = program
        if program.threaded and self._profile is not None:
            # The profiler sees the allocations of this thread only.
            self._profile.stop()
            self._profile = None

    def begin_step(self) -> None:
        """Open the step's window; the profiler stamps its events in nanoseconds since the epoch."""
        self._begin_ns = time.time_ns()

    def end_step(self) -> dict[str, float]:
        """Close the step's window."""
        self._windows.append((self._begin_ns, time.time_ns()))
        return {}

    def finish(self) -> dict[str, Any]:
        """Replay the allocations and take the highest level within each step; no peak where no tensor lived."""
        parts = {f"measured_{part}_bytes": size for part, size in self._by_part.items()}
        if self._profile is None:
            return parts
        self._profile.stop()
        found = peaks(allocations(self._profile), self._windows)
        return {"peak_memory_bytes": found, **parts} if any(found) else parts

    def findings(self) -> dict[str, Any]:
        """Bytes of weights, buffers and optimizer state."""
        return {"measured_by_part_bytes": self._by_part}

    @cached_property
    def _by_part(self) -> dict[str, int]:
        """Bytes of each part that the program names; a storage that several tensors share counts once."""
        return {part: stored_bytes(tensors) for part, tensors in self._program.parts().items()}


def stored_bytes(tensors: list[Any]) -> int:
    """Bytes of all storages behind tensors; a tensor that is sharded between ranks counts with this rank's shard."""
    own = [inner for tensor in tensors for inner in inner_tensors(tensor)]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in own}
    return sum(storages.values())


def allocations(profiler: Any) -> list[tuple[int, int]]:
    """Time in ns and change in bytes of every allocation (positive) and release (negative) on the CPU."""
    events = profiler.profiler.kineto_results.events()
    return sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")


def peaks(changes: list[tuple[int, int]], windows: list[tuple[int, int]]) -> list[int]:
    """Highest level of bytes inside each window, of which the level at its start is one.

    Args:
        changes: time and change in bytes, sorted by time.
        windows: begin and end, in order, not overlapping.
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
