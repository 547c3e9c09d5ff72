"""Finds the device that a process is to measure on."""

import os
from collections.abc import Sequence

from perfgate.measure.devices.base import Cpu, Device
from perfgate.shared.errors import UserError
from perfgate.system.provenance import software

FAKE = "fake:"


def find_device(wanted: str, worker: int = 0) -> Device:
    """The device that a process is to measure on.

    Args:
        wanted: ``auto``, ``cpu``, ``cuda``, ``none``, or ``fake:`` and a script; ``auto`` is a GPU where the driver
            shows one and torch is no build for CPUs.
        worker: number of this process among xdist's workers; they share out the devices that the caller sees.

    Raises:
        UserError: a GPU is asked for and none can be used.
    """
    if wanted.startswith(FAKE):
        from perfgate.measure.devices.fake import fake_devices

        found: Sequence[Device] = fake_devices(wanted.removeprefix(FAKE))
    elif wanted == "cuda" or (wanted == "auto" and "+cpu" not in software().get("torch", "")):
        from perfgate.measure.devices.cuda import cuda_devices

        found = cuda_devices(required=wanted == "cuda")
    else:
        found = []
    if not found:
        if wanted == "cuda" or wanted.startswith(FAKE):
            visible = os.environ.get("CUDA_VISIBLE_DEVICES")
            hint = "" if visible is None else f" (CUDA_VISIBLE_DEVICES is {visible!r})"
            raise UserError(f"--perf-device {wanted}: no GPU is visible{hint}; use --perf-device cpu")
        return Cpu()
    # Timings of one run stand under one machine's name.
    alike = [device for device in found if device.machine.name == found[0].machine.name]
    first = worker % len(alike)
    chosen = alike[first]
    chosen.peers = [*alike[first + 1 :], *alike[:first]]
    return chosen
