"""Counts the kernels and copies that a step starts on a GPU, with the profiler, and how long they keep it busy."""

from collections.abc import Iterable
from typing import Any

from perfgate.actor.instrument import Instrument
from perfgate.shared.device_kinds import DEVICE_KINDS

COPIES = ("memcpy", "memset")


class Kernels(Instrument):
    """Reads ``kernel_launches``, ``copies`` and ``device_busy_s`` of each step; nothing on a CPU.

    The profiler slows down the host, but not the kernels on the device.
    """

    passes = frozenset({"counters"})

    def start(self) -> None:
        """Look up the profiler's name of the device."""
        self._kind = DEVICE_KINDS[self.device.name]

    def begin_step(self) -> None:
        """Start the profiler for this step."""
        self._profile: Any = None
        if not self._kind.gpu:
            return
        from torch.profiler import ProfilerActivity, profile  # not needed without a GPU

        self._profile = profile(activities=[getattr(ProfilerActivity, self._kind.activity)])
        self._profile.start()

    def end_step(self) -> dict[str, float]:
        """Count the events on the device (https://docs.pytorch.org/docs/stable/profiler.html)."""
        if self._profile is None:
            return {}
        self.device.synchronize()
        self._profile.stop()
        events = self._profile.profiler.kineto_results.events()
        events = [event for event in events if str(event.device_type()).endswith(self._kind.activity)]
        copies = sum(event.name().lower().startswith(COPIES) for event in events)
        busy_ns = covered((event.start_ns(), event.start_ns() + event.duration_ns()) for event in events)
        found = {"kernel_launches": len(events) - copies, "copies": copies}
        return found | ({"device_busy_s": busy_ns / 1e9} if busy_ns and self._kind.timed else {})


def covered(spans: Iterable[tuple[int, int]]) -> int:
    """The length of the union of spans. Spans can overlap, because streams work at the same time."""
    total = reached = 0
    for begin, end in sorted(spans):
        begin = max(begin, reached)
        if end > begin:
            total += end - begin
            reached = end
    return total


INSTRUMENT = Kernels
