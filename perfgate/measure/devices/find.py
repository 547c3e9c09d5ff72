"""Finds the device that a process is to measure on."""

import os
from collections.abc import Sequence

from perfgate.measure.devices.base import Cpu, Device
from perfgate.shared.device_kinds import DEVICE_KINDS, DeviceKind, built_for, load
from perfgate.shared.errors import UserError
from perfgate.system.provenance import software


def find_device(wanted: str, worker: int = 0) -> Device:
    """The device that a process is to measure on.

    Args:
        wanted: a kind of device, ``none``, or ``auto``: a device of the kind that torch is built for where its driver
            shows one, else the CPU. ``fake:`` and a script is a scripted device.
        worker: number of this process among xdist's workers; they share out the devices that the caller sees.

    Raises:
        UserError: a GPU is asked for and none can be used.
    """
    name, _, argument = wanted.partition(":")
    required = name not in ("auto", "none")
    kind = built_for(software().get("torch", "")) if name == "auto" else DEVICE_KINDS.get(name, DEVICE_KINDS["cpu"])
    if not kind.handles:
        return Cpu()
    found: Sequence[Device] = load(kind.handles)(required, argument)
    if not found:
        if required:
            raise UserError(f"--perf-device {wanted}: no GPU is visible{hint(kind)}; use --perf-device cpu")
        return Cpu()
    # The timings of one run are stored under one machine's name, so all its devices must be alike.
    alike = [device for device in found if device.machine.name == found[0].machine.name]
    first = worker % len(alike)
    chosen = alike[first]
    chosen.peers = [*alike[first + 1 :], *alike[:first]]
    return chosen


def hint(kind: DeviceKind) -> str:
    """The variable that hides devices, where it is set."""
    # A scripted device heeds CUDA's.
    variable = kind.visible or DEVICE_KINDS["cuda"].visible
    named = os.environ.get(variable)
    return "" if named is None else f" ({variable} is {named!r})"
