"""Counts the kernels and copies that a step starts on a GPU, with the profiler."""

from perfgate.actor.instrument import Instrument


class Kernels(Instrument):
    """Reads ``kernel_launches`` and ``copies`` of each step; nothing on a CPU."""

    passes = frozenset({"counters"})

    def begin_step(self) -> None:
        """Record this step."""
        self.device.begin_record()

    def end_step(self) -> dict[str, float]:
        """Count what was recorded."""
        record = self.device.end_record()
        return {"kernel_launches": record.launches, "copies": record.copies} if record else {}


INSTRUMENT = Kernels
