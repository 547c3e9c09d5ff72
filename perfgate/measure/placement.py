"""The place of each rank of a launch: a core or a GPU of its own."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from perfgate.measure.devices.base import Device
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.workload import Workload
from perfgate.system.hosts import find_hosts
from perfgate.system.locks import DeviceLock


def ranks_of(workload: Workload) -> int:
    """How many processes a launch has."""
    return int(workload.params.get("ranks", 1))


def alike(device: Device) -> list[Device]:
    """The device and its peers; ranks take the first ones."""
    return [device, *device.peers]


def room(device: Device) -> int:
    """How many ranks can have a device, or a core, of their own."""
    if hosts := find_hosts():
        return hosts.ranks
    return len(cores()) if device.kind == "cpu" else len(alike(device))


def cores() -> list[int]:
    """The processors that this process may use. The last comes first, as launches of one process stay on it."""
    known = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return sorted(known, reverse=True)


def placed(device: Device, workload: Workload, pinned: bool) -> dict[str, Any]:
    """The part of an actor's order with its device and cores, and those of each rank where there are several.

    Ranks on other hosts got their place when they were started there.

    Args:
        device: of launches of one process.
        workload: to be run.
        pinned: whether actors stay on the device's cores.
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
    """Device and cores of each rank; ranks share devices where there are too few.

    All GPUs of a launch are visible to each rank, which takes its own by its position among them.
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
    """Lock the devices of all ranks. Everybody locks them in the same order, so that nobody waits forever.

    Args:
        own: the lock of ``device``.
        device: of launches of one process.
        workloads: to be run.
    """
    ranks = max(map(ranks_of, workloads), default=1)
    names = sorted({peer.uuid for peer in alike(device)[:ranks]})
    with ExitStack() as stack:
        for name in names:
            stack.enter_context((own if name == device.uuid else DeviceLock(name)).exclusive())
        yield
