"""Peaks of memory on a device that keeps count of it."""

from typing import Any

from perfgate.actor.instruments.base import Instrument


class DeviceMemory(Instrument):
    """``peak_memory_bytes`` and its kin of each step; nothing on a CPU, whose allocator keeps no count."""

    passes = frozenset({"memory"})

    def begin_step(self) -> None:
        """Forget the peaks so far."""
        self.device.reset_peaks()

    def end_step(self) -> dict[str, Any]:
        """Read the step's peaks."""
        return self.device.peaks()


INSTRUMENT = DeviceMemory
