"""Reads peak memory from the device's allocator."""

from typing import Any

from perfgate.actor.instrument import Instrument


class DeviceMemory(Instrument):
    """Reads ``peak_memory_bytes`` and related metrics of each step; none on a CPU, whose allocator keeps no count."""

    passes = frozenset({"memory"})

    def begin_step(self) -> None:
        """Forget the peaks so far."""
        self.device.reset_peaks()

    def end_step(self) -> dict[str, Any]:
        """Read the step's peaks."""
        return self.device.peaks()


INSTRUMENT = DeviceMemory
