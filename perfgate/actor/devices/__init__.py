"""Opens the device that a program runs on. Each kind of device has a module here."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from perfgate.actor.devices.base import Device
from perfgate.actor.devices.cpu import Cpu
from perfgate.shared.device_kinds import DEVICE_KINDS, HIDDEN, DeviceKind, load


def open_device(device: Mapping[str, Any], pass_name: str, cores: Sequence[int] | None, threads: int) -> Device:
    """Set up the device for this process.

    Args:
        device: ``kind``, and further keys of the kind. For a GPU: ``uuid``; for one of several ranks, the UUIDs of all
            ranks' GPUs and the ``position`` of its own. For a fake device: ``script`` and ``uuid``.
        pass_name: the pass of the launch.
        cores: the processors that this process is bound to, or ``None`` for any.
        threads: the number of threads that may compute.

    Raises:
        ValueError: there is no such kind.
    """
    kind = kind_of(device)
    bound_to(cores)
    show_device(device)
    if kind.gpu and pass_name == "yardstick":
        # This yardstick calls the driver itself and waits for its own work; torch must not be in its time.
        return Cpu(threads)
    # The module of a GPU is imported only here, because it imports torch, which not every program needs.
    opened: Device = load(kind.actor).opened(device, pass_name, threads)
    return opened


def bound_to(cores: Sequence[int] | None) -> None:
    """Keep this process on these processors, if any are named."""
    if cores is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)


def show_device(device: Mapping[str, Any]) -> None:
    """Make only this device visible to this process. The driver reads the variable at its first call.

    The variables of other kinds, which hid all devices until now, are removed, because HIP reads CUDA's variable too.
    """
    if variable := kind_of(device).visible:
        for other in HIDDEN:
            os.environ.pop(other, None)
        os.environ[variable] = device["uuid"]


def kind_of(device: Mapping[str, Any]) -> DeviceKind:
    """The kind of the device that an order names.

    Raises:
        ValueError: there is no such kind.
    """
    if device["kind"] not in DEVICE_KINDS:
        raise ValueError(f"unknown device {device['kind']!r}")
    return DEVICE_KINDS[device["kind"]]
