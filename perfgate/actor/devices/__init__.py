"""Where a program runs: opens the device of a kind. One module a kind."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from perfgate.actor.devices.base import Device
from perfgate.actor.devices.cpu import Cpu
from perfgate.shared.device_kinds import DEVICE_KINDS, DeviceKind, load


def open_device(device: Mapping[str, Any], pass_name: str, cores: Sequence[int] | None, threads: int) -> Device:
    """Claim the device for this process.

    Args:
        device: ``kind``, and what the kind needs: ``uuid`` of a GPU (for a rank among others those of all, and the
            ``position`` of its own), ``script`` and ``uuid`` of a fake one.
        pass_name: of the launch.
        cores: the processors to stay on, or ``None`` for any.
        threads: how many threads may compute.

    Raises:
        ValueError: there is no such kind.
    """
    kind = kind_of(device)
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    show_device(device)
    if kind.gpu and pass_name == "yardstick":
        # It reaches the driver by itself and waits for its own work; nothing of torch shall be in its time.
        return Cpu(threads)
    # The module of a GPU imports torch, which not every program needs.
    opened: Device = load(kind.actor).opened(device, pass_name, threads)
    return opened


def show_device(device: Mapping[str, Any]) -> None:
    """Make the device visible to this process, and no other; the driver looks when it is first touched."""
    if variable := kind_of(device).visible:
        os.environ[variable] = device["uuid"]


def kind_of(device: Mapping[str, Any]) -> DeviceKind:
    """The row of a device that an order names.

    Raises:
        ValueError: there is no such kind.
    """
    if device["kind"] not in DEVICE_KINDS:
        raise ValueError(f"unknown device {device['kind']!r}")
    return DEVICE_KINDS[device["kind"]]
