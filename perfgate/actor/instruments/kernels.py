"""Kernels and copies that a step hands to a GPU, counted by the profiler, and how long they keep it busy."""

from collections.abc import Iterable
from typing import Any

from perfgate.actor.instrument import Instrument
from perfgate.shared.device_kinds import DEVICE_KINDS

COPIES = ("memcpy", "memset")


class Kernels(Instrument):
    """``kernel_launches``, ``copies`` and ``device_busy_s`` of each step; nothing on a CPU, which has neither.

    The profiler slows the host, but not what runs on the device.
    """

    passes = frozenset({"counters"})

    def start(self) -> None:
        """Look up what the profiler calls the device."""
        self._kind = DEVICE_KINDS[self.device.name]

    def begin_step(self) -> None:
        """Let the profiler watch this step alone."""
        self._profile: Any = None
        if not self._kind.gpu:
            return
        from torch.profiler import ProfilerActivity, profile  # not needed without a GPU

        self._profile = profile(activities=[getattr(ProfilerActivity, self._kind.activity)])
        self._profile.start()

    def end_step(self) -> dict[str, float]:
        """Count what ran on the device (https://docs.pytorch.org/docs/stable/profiler.html)."""
        if self._profile is None:
            return {}
        self.device.synchronize()
        self._profile.stop()
        events = self._profile.profiler.kineto_results.events()
        events = [event for event in events if str(event.device_type()).endswith(self._kind.activity)]
        copies = sum(event.name().lower().startswith(COPIES) for event in events)
        busy_ns = covered((event.start_ns(), event.start_ns() + event.duration_ns()) for event in events)
        found = {"kernel_launches": len(events) - copies, "copies": copies}
        return found | ({"device_busy_s": busy_ns / 1e9} if busy_ns else {})


def covered(spans: Iterable[tuple[int, int]]) -> int:
    """Length of the union of spans, which may overlap as streams work at the same time."""
    total = reached = 0
    for begin, end in sorted(spans):
        begin = max(begin, reached)
        if end > begin:
            total += end - begin
            reached = end
    return total


INSTRUMENT = Kernels
