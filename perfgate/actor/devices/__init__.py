"""Where a program runs. One module a kind of device."""

import os
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from perfgate.actor.devices.cpu import Cpu


class Device(Protocol):
    """What programs, the pace and instruments ask of a device.

    Attributes:
        name: ``cpu``, ``cuda`` or ``fake``.
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

    def prove(self, compiled: bool) -> None:
        """Do a little work, or raise; with ``compiled`` also through ``torch.compile``."""


def open_device(device: Mapping[str, Any], pass_name: str, cores: Sequence[int] | None, threads: int) -> Device:
    """Claim the device for this process.

    Args:
        device: ``kind``, and what the kind needs: ``uuid`` of a CUDA device (several, and the
            ``position`` of its own, for a rank among others), ``script`` and ``uuid`` of a fake one.
        pass_name: of the launch.
        cores: the processors to stay on, or ``None`` for any.
        threads: how many threads may compute.
    """
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    if device["kind"] == "cuda" and pass_name == "yardstick":
        # It reaches the driver by itself and waits for its own work; nothing of torch shall be in its time.
        os.environ["CUDA_VISIBLE_DEVICES"] = device["uuid"]
        return Cpu(threads)
    if device["kind"] == "cuda":
        from perfgate.actor.devices.cuda import Cuda  # imports torch, which not every program needs

        return Cuda(device["uuid"], threads, device.get("position", 0))
    if device["kind"] == "fake":
        from perfgate.actor.devices.fake import Fake  # for tests alone

        return Fake(device["script"], device["uuid"], pass_name)
    if device["kind"] != "cpu":
        raise ValueError(f"unknown device {device['kind']!r}")
    return Cpu(threads)
