"""Where a program runs: opens the device of a kind. One module a kind."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from perfgate.actor.devices.base import Device
from perfgate.actor.devices.cpu import Cpu


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
