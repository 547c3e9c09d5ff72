"""Where a program runs. One module a kind of device."""

from typing import Protocol

from perfgate.actor.devices.cpu import Cpu


class Device(Protocol):
    """What programs and instruments ask of a device."""

    name: str

    def synchronize(self) -> None:
        """Wait until all work handed to the device is done."""


def open_device(kind: str, core: int | None, threads: int) -> Device:
    """Claim the device for this process.

    Args:
        kind: ``cpu``.
        core: the processor to stay on, or ``None`` for any.
        threads: how many threads may compute.
    """
    if kind != "cpu":
        raise ValueError(f"unknown device {kind!r}")
    return Cpu(core, threads)
