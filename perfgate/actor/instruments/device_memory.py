"""Peak memory as the device's allocator counts it."""

from typing import Any

from perfgate.actor.instrument import Instrument


class DeviceMemory(Instrument):
    """``peak_memory_bytes`` and related metrics of each step; nothing on a CPU, whose allocator does not count."""

    passes = frozenset({"memory"})

    def begin_step(self) -> None:
        """Forget the peaks so far."""
        self.device.reset_peaks()

    def end_step(self) -> dict[str, Any]:
        """Read the step's peaks."""
        return self.device.peaks()


INSTRUMENT = DeviceMemory
