"""Finds the device that a process measures on."""

import os
from collections.abc import Sequence

from perfgate.measure.devices.base import Cpu, Device
from perfgate.shared.device_kinds import DEVICE_KINDS, NOT_BEGUN, DeviceKind, built_for, load
from perfgate.shared.errors import UserError
from perfgate.system.provenance import software


def find_device(wanted: str, worker: int = 0) -> Device:
    """The device for a process to measure on.

    Args:
        wanted: a kind of device, ``none``, or ``auto``. ``auto`` is a device of the kind that torch was built for if
            its driver finds one, else the CPU; a kind that has never run must be named. ``fake:`` followed by the path
            of a script is a fake device for tests.
        worker: number of this process among xdist's workers, which share the visible devices among themselves.

    Raises:
        UserError: a GPU is asked for and none can be used.
    """
    name, _, argument = wanted.partition(":")
    if name in NOT_BEGUN:
        raise UserError(f"--perf-device {wanted}: {NOT_BEGUN[name]}; use --perf-device cpu")
    required = name not in ("auto", "none")
    kind = built_for(software().get("torch", "")) if name == "auto" else DEVICE_KINDS.get(name, DEVICE_KINDS["cpu"])
    if not kind.handles or (kind.never_run and not required):
        return Cpu()
    found: Sequence[Device] = load(kind.handles)(required, argument)
    if not found:
        if required:
            raise UserError(f"--perf-device {wanted}: no GPU is visible{hint(kind)}; use --perf-device cpu")
        return Cpu()
    # The times of a run are stored under the name of one machine, so all devices of the run must be equal.
    alike = [device for device in found if device.machine.name == found[0].machine.name]
    first = worker % len(alike)
    chosen = alike[first]
    chosen.peers = [*alike[first + 1 :], *alike[:first]]
    return chosen


def hint(kind: DeviceKind) -> str:
    """A clause about the variable that hides devices, if it is set."""
    variable = kind.visible or kind.chosen_by
    named = os.environ.get(variable) if variable else None
    return "" if named is None else f" ({variable} is {named!r})"
