"""The GPU of an Apple chip under Metal: ``torch.mps``. It was written from documentation and has never run.

See https://docs.pytorch.org/docs/stable/mps.html. torch keeps neither peaks nor a record of allocations there, its
profiler sees no kernels (``torch.mps.profiler`` writes signposts only for Apple's Instruments), and nothing warns if
the host waits. So none of these are reported. ``torch.manual_seed`` seeds this device too.
"""

import time
from collections.abc import Mapping
from typing import Any

import torch

from perfgate.actor.devices.bursts import Bursts
from perfgate.actor.devices.cuda import forget_devices, prove


class Mps(Bursts):
    """The GPU of this Mac's chip.

    Args:
        threads: the number of threads that may compute on the host.

    Raises:
        RuntimeError: torch was not built for it, or this process cannot use it.
    """

    name = "mps"
    torch_device = "mps"
    now_s = staticmethod(time.perf_counter)

    def __init__(self, threads: int) -> None:
        super().__init__()
        if not torch.backends.mps.is_built():
            raise RuntimeError(f"torch {torch.__version__} was built without mps, which --perf-device mps needs")
        if not torch.backends.mps.is_available():
            raise RuntimeError("torch cannot use this Mac's GPU: macOS is too old, or the process sees no Metal device")
        forget_devices()
        torch.set_num_threads(threads)

    @classmethod
    def opened(cls, device: Mapping[str, Any], pass_name: str, threads: int) -> "Mps":
        """The GPU, for a process whose order names it."""
        del device, pass_name
        return cls(threads)

    def processor_s(self) -> None:
        """``None``: the GPU does the work of a step, so the host's processor time says little about it."""

    def synchronize(self) -> None:
        """Wait for all streams."""
        torch.mps.synchronize()

    def mark(self) -> Any:
        """An event on the default stream.

        See https://docs.pytorch.org/docs/stable/generated/torch.mps.event.Event.html.
        """
        event = torch.mps.Event(enable_timing=True)
        event.record()
        return event

    def between_s(self, begin: Any, end: Any) -> float:
        """Seconds between two events; torch documents no resolution."""
        return float(begin.elapsed_time(end)) / 1e3

    def begin_record(self, host: bool = False) -> None:
        """Do nothing: torch's profiler does not see this device."""
        del host

    def end_record(self) -> None:
        """``None``: torch's profiler does not see this device."""

    def reset_peaks(self) -> None:
        """Do nothing: the allocator keeps no highest levels."""

    def peaks(self) -> dict[str, float]:
        """No peaks, only levels after a step; these are never gated, because a step may have taken more before.

        ``held_memory_bytes`` is the memory of tensors; ``driver_memory_bytes`` also includes that of Metal and the
        allocator's pools.
        """
        return {
            "held_memory_bytes": torch.mps.current_allocated_memory(),
            "driver_memory_bytes": torch.mps.driver_allocated_memory(),
        }

    def segments(self) -> list[dict[str, Any]]:
        """Empty: the allocator does not list its memory."""
        return []

    def prove(self, compiled: bool) -> None:
        """Compute something small on the device."""
        prove(self.torch_device, compiled)
