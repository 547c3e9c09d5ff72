"""Measures how long a step keeps the device at work, in steps that are not timed."""

from perfgate.actor.instrument import Instrument

BY_ITSELF = "device"


class DeviceTime(Instrument):
    """Reads ``device_time_s`` of a step: the time in which at least one kernel or copy was at work; nothing on a CPU.

    It comes from the profiler, which slows down the host, and not the kernels. So it is read in separate steps after
    the timed ones, and does not include the time in which the device waits for the host.
    """

    passes = frozenset({"time"})
    by_itself = BY_ITSELF

    def begin_step(self) -> None:
        """Record this step."""
        self.device.begin_record()

    def end_step(self) -> dict[str, float]:
        """Read the time in kernels and copies."""
        record = self.device.end_record()
        return {"device_time_s": record.busy_s} if record and record.busy_s else {}


INSTRUMENT = DeviceTime
