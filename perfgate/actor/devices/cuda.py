"""A CUDA device. Calls return before the work is done, so times are taken of whole bursts and with events."""

import contextlib
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from perfgate.actor.devices.base import Record
from perfgate.actor.devices.bursts import Bursts
from perfgate.actor.devices.kineto import Recording
from perfgate.shared.device_kinds import DEVICE_KINDS

CACHES = (
    "torch.cuda",
    "torch.accelerator",
    "torch.utils._triton",
    "transformers.utils.import_utils",
    "transformers.utils.generic",
    "accelerate.utils.imports",
)
NO_POOL = (0, 0)


class Cuda(Bursts):
    """The only device that is visible to this process or, with several ranks, this rank's one of the visible devices.

    Args:
        threads: the number of threads that may compute on the host.
        position: the position of this rank's device among the visible ones.

    Raises:
        RuntimeError: this process cannot use the device.
    """

    name = "cuda"
    torch_device = "cuda"
    now_s = staticmethod(time.perf_counter)

    def __init__(self, threads: int, position: int = 0) -> None:
        super().__init__()
        forget_devices()
        torch.set_num_threads(threads)
        torch.cuda.init()
        torch.cuda.set_device(position)

    def processor_s(self) -> None:
        """``None``: the GPU does the work of a step, so the host's processor time says little about it."""

    @classmethod
    def opened(cls, device: Mapping[str, Any], pass_name: str, threads: int) -> "Cuda":
        """The CUDA device, for a process whose order names it."""
        del pass_name
        return cls(threads, device.get("position", 0))

    def synchronize(self) -> None:
        """Wait for all streams."""
        torch.cuda.synchronize()

    def mark(self) -> Any:
        """An event on the current stream (https://docs.pytorch.org/docs/stable/generated/torch.cuda.Event.html)."""
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between_s(self, begin: Any, end: Any) -> float:
        """Seconds between two events, with a resolution of half a microsecond."""
        return float(begin.elapsed_time(end)) / 1e3

    def begin_record(self, host: bool = False) -> None:
        """Start the profiler (https://docs.pytorch.org/docs/stable/profiler.html)."""
        self._recording = Recording(DEVICE_KINDS[self.name].activity, host)

    def end_record(self) -> Record:
        """Stop the profiler and read its events."""
        self.synchronize()
        return self._recording.ended()

    def reset_peaks(self) -> None:
        """Reset the allocator's highest levels, including that of pinned host memory if this torch has one."""
        torch.cuda.reset_peak_memory_stats()
        with contextlib.suppress(AttributeError):
            torch.cuda.reset_peak_host_memory_stats()

    def peaks(self) -> dict[str, float]:
        """The allocator's counts (https://docs.pytorch.org/docs/stable/generated/torch.cuda.memory.memory_stats.html).

        ``peak_memory_bytes`` is the memory of tensors, in blocks of 512 bytes. A CUDA graph keeps its memory pool for
        the next replay even if no tensor uses it, so the whole pool counts.
        """
        stats = torch.cuda.memory_stats()
        free, total = torch.cuda.mem_get_info()
        found = {
            "peak_memory_bytes": stats["allocated_bytes.all.peak"] + sum(graph_bytes(self.segments())),
            "peak_requested_bytes": stats.get("requested_bytes.all.peak", 0),
            "peak_reserved_bytes": stats["reserved_bytes.all.peak"],
            "non_torch_memory_bytes": total - free - stats["reserved_bytes.all.current"],
            "allocation_retries": stats["num_alloc_retries"],
            "out_of_memory_errors": stats["num_ooms"],
            "peak_pinned_bytes": pinned_bytes(),
        }
        return {name: value for name, value in found.items() if value > 0 or not name.endswith("_bytes")}

    def segments(self) -> list[dict[str, Any]]:
        """The caching allocator's snapshot."""
        return list(torch.cuda.memory_snapshot())

    def prove(self, compiled: bool) -> None:
        """Compute something small on the device."""
        prove(self.torch_device, compiled)


def prove(torch_device: str, compiled: bool) -> None:
    """Compute something small on a device of torch.

    Raises:
        RuntimeError: the result is wrong, or the device cannot be used.
    """

    def work(x: Any) -> Any:
        return (x * 2 + 1).sum()

    function = torch.compile(work) if compiled else work
    if float(function(torch.ones(8, device=torch_device))) != 24.0:
        raise RuntimeError("the device computes wrongly")


def graph_bytes(segments: list[dict[str, Any]]) -> Iterator[int]:
    """For each segment in the memory pool of a CUDA graph, the bytes that no tensor uses now.

    Args:
        segments: the segments, as ``torch.cuda.memory_snapshot()`` lists them.
    """
    for segment in segments:
        if tuple(segment.get("segment_pool_id", NO_POOL)) != NO_POOL:
            yield segment["total_size"] - segment["allocated_size"]


def pinned_bytes() -> int:
    """The highest level of pinned host memory in bytes; 0 if this torch does not report it."""
    try:
        stats = torch.cuda.host_memory_stats()
        # The allocated blocks include those that only wait for reuse.
        return int(stats.get("active_bytes.peak", stats.get("allocated_bytes.peak", 0)))
    except AttributeError:
        return 0


def forget_devices() -> None:
    """Make libraries look for devices again, because none was visible when they were imported.

    transformers caches ``is_torch_cuda_available()`` and similar functions, and accelerate keeps the device in
    ``PartialState``. torch caches whether Triton works, which torchao asks when it is imported.
    """
    for name in CACHES:
        for value in list(vars(sys.modules.get(name, object)).values()):
            # The type is checked, because some modules import an attribute when it is first read.
            if clear := getattr(type(value), "cache_clear", None):
                clear(value)
    if state := sys.modules.get("accelerate.state"):
        state.AcceleratorState._reset_state(reset_partial_state=True)
        state.GradientState._reset_state()
