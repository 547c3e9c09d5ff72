"""Gives each rank of a launch a core or a GPU of its own."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from perfgate.measure.devices.base import Device
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.workload import Workload
from perfgate.system.hosts import find_hosts
from perfgate.system.locks import DeviceLock

SLICE = "MIG-"


def ranks_of(workload: Workload) -> int:
    """The number of processes of a launch of this workload."""
    return int(workload.params.get("ranks", 1))


def alike(device: Device) -> list[Device]:
    """The device and its peers, for the ranks in this order. A process can use only one slice of a GPU (MIG)."""
    return [device] if device.uuid.startswith(SLICE) else [device, *device.peers]


def room(device: Device) -> int:
    """The number of ranks that can each have a device of their own, or on a CPU a core of their own."""
    if hosts := find_hosts():
        return hosts.ranks
    return len(cores()) if device.kind == "cpu" else len(alike(device))


def cores() -> list[int]:
    """The processors that this process may use. The last one comes first, because single-process launches use it."""
    known = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return sorted(known, reverse=True)


def placed(device: Device, workload: Workload, pinned: bool) -> dict[str, Any]:
    """The part of an actor's order with its device and cores and, with several ranks, with those of each rank.

    Ranks on other hosts got their device when they were started there.

    Args:
        device: the device of launches of a single process.
        workload: the workload to run.
        pinned: whether actors are bound to the device's cores.
    """
    alone = {"device": device.order, "cores": device.cores if pinned else None}
    if (ranks := ranks_of(workload)) == 1:
        return alone
    hosts = find_hosts()
    found = places(device, 1 if hosts else ranks)
    joined = {"hosts": hosts.to_json()} if hosts else {}
    unpinned = [{**place, "cores": None} for place in found]
    return {**alone, **joined, "ranks": ranks, "places": found if pinned else unpinned}


def places(device: Device, ranks: int) -> list[dict[str, Any]]:
    """The device and the cores of each rank. Ranks share devices if there are too few.

    Each rank sees all GPUs of the launch and uses the one at its own position among them.
    """
    if device.kind == "cpu":
        own = cores()
        return [{"device": device.order, "cores": [own[number % len(own)]]} for number in range(ranks)]
    devices = [alike(device)[number % len(alike(device))] for number in range(ranks)]
    orders: list[Any] = [peer.order for peer in devices]
    if DEVICE_KINDS[device.kind].visible:
        names = ",".join(peer.uuid for peer in devices)
        orders = [{**order, "uuid": names, "position": number} for number, order in enumerate(orders)]
    return [{"device": order, "cores": peer.cores} for order, peer in zip(orders, devices, strict=True)]


@contextmanager
def exclusive(own: DeviceLock, device: Device, workloads: Sequence[Workload]) -> Iterator[None]:
    """Lock the devices of all ranks. All processes lock devices in the same order, so that none waits forever.

    Args:
        own: the lock of ``device``.
        device: the device of launches of a single process.
        workloads: the workloads to run.
    """
    ranks = max(map(ranks_of, workloads), default=1)
    names = sorted({peer.uuid for peer in alike(device)[:ranks]})
    with ExitStack() as stack:
        for name in names:
            stack.enter_context((own if name == device.uuid else DeviceLock(name)).exclusive())
        yield
