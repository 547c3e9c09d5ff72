"""What a device does for a program. Each kind of device has a module of its own."""

from typing import Any, Protocol


class Device(Protocol):
    """What programs, the pace and instruments ask of a device.

    Attributes:
        name: of its kind, as ``perfgate.shared.device_kinds`` lists them.
        torch_device: what torch calls it.
    """

    name: str
    torch_device: str

    def now_s(self) -> float:
        """Seconds on the clock that steps are timed by."""

    def processor_s(self) -> float | None:
        """Seconds that this process has computed so far; ``None`` where another device does a step's work."""

    def synchronize(self) -> None:
        """Wait until all work handed to the device is done."""

    def begin_burst(self) -> None:
        """Called as the last thing before the first step of a burst, with nothing pending."""

    def stepped(self) -> None:
        """Called when all work of a step was handed over, done or not."""

    def spans_s(self) -> list[float]:
        """The device's own time of each step of the burst that is done; empty where it keeps none."""

    def mark(self) -> Any:
        """A point in the work handed over so far; does not wait."""

    def between_s(self, begin: Any, end: Any) -> float:
        """Seconds from one mark to another; both must have been reached."""

    def reset_peaks(self) -> None:
        """Forget the highest levels of memory."""

    def peaks(self) -> dict[str, float]:
        """Highest levels of memory since then, by metric; empty where the device keeps no count."""

    def segments(self) -> list[dict[str, Any]]:
        """Memory that the caching allocator holds, as ``torch.cuda.memory_snapshot()`` lists it; empty without one."""

    def prove(self, compiled: bool) -> None:
        """Do a little work, or raise; with ``compiled`` also through ``torch.compile``."""
