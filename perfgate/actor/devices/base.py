"""The interface of a device for programs, the pace and instruments. Each kind of device has a module of its own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Record:
    """The work that a device did, as its profiler recorded it.

    Attributes:
        launches: number of kernels.
        copies: number of copies and fills of memory.
        busy_s: how long at least one of them was at work; ``None`` if times have no meaning.
        kernels: the profiler's events of kernels.
        memory: the profiler's events of copies and fills.
        of_host: the profiler's events of the host, if requested.
    """

    launches: int
    copies: int
    busy_s: float | None
    kernels: Sequence[Any] = ()
    memory: Sequence[Any] = ()
    of_host: Sequence[Any] = ()


def covered(spans: Iterable[tuple[int, int]]) -> int:
    """The length of the union of spans. Spans can overlap, because streams work at the same time."""
    total = reached = 0
    for begin, end in sorted(spans):
        begin = max(begin, reached)
        if end > begin:
            total += end - begin
            reached = end
    return total


class Device(Protocol):
    """The device that a program runs on.

    Attributes:
        name: the name of its kind in ``perfgate.shared.device_kinds``.
        torch_device: the device's name in torch.
    """

    name: str
    torch_device: str

    def now_s(self) -> float:
        """Seconds on the clock with which steps are timed."""

    def processor_s(self) -> float | None:
        """Processor time of this process so far, in seconds; ``None`` if another device does the work of a step."""

    def synchronize(self) -> None:
        """Wait until all work that was given to the device is done."""

    def begin_burst(self) -> None:
        """Called as the last thing before the first step of a burst, with nothing pending."""

    def stepped(self) -> None:
        """Called when all work of a step was given to the device, whether it is done or not."""

    def spans_s(self) -> list[float]:
        """The times of steps of the last burst on the device's own clock; empty if it has no clock.

        If steps are short, each time is the mean over several steps.
        """

    def mark(self) -> Any:
        """Mark the current point in the device's work, without waiting for it."""

    def between_s(self, begin: Any, end: Any) -> float:
        """Seconds from one mark to another; the device must have reached both."""

    def begin_record(self, host: bool = False) -> None:
        """Begin to record the device's work, with nothing pending; that slows the host down, and not the device.

        Args:
            host: whether to record operators on the host too.
        """

    def end_record(self) -> Record | None:
        """Wait for the device, and return its work since ``begin_record``; ``None`` if it keeps no record."""

    def reset_peaks(self) -> None:
        """Begin to record the highest levels of memory anew."""

    def peaks(self) -> dict[str, float]:
        """The highest levels of memory since the last reset, by metric; empty if the device keeps no count."""

    def segments(self) -> list[dict[str, Any]]:
        """The caching allocator's memory, as ``torch.cuda.memory_snapshot()`` lists it; empty if there is none."""

    def prove(self, compiled: bool) -> None:
        """Do a little work on the device, with ``compiled`` also through ``torch.compile``; raise if that fails."""
