"""The parent's view of a device: its identity, its processes, and what slows it down."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from perfgate.records.machine import Machine, this_machine
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.system.hosts import find_hosts


@dataclass(frozen=True)
class Status:
    """What a device's driver tells at one moment; fields that it does not tell keep their defaults.

    Attributes:
        slowdown_ns: how long clocks were held down since the driver was loaded, in nanoseconds by reason.
        reasons: why they are held down at this moment.
        energy_j: joules used since the driver was loaded.
        power_w: at this moment.
        clock_mhz: of the multiprocessors, at this moment.
        pids: processes that hold the device; ``None`` where the driver does not tell.
    """

    slowdown_ns: Mapping[str, int] = field(default_factory=dict)
    reasons: frozenset[str] = frozenset()
    energy_j: float | None = None
    power_w: float | None = None
    clock_mhz: float | None = None
    pids: frozenset[int] | None = None


class Device(Protocol):
    """What the stage needs of a device.

    Attributes:
        kind: ``cpu``, ``cuda`` or ``fake``.
        uuid: names its lock, and stands with each launch.
        machine: the identity under which its timings are compared.
        bursts: whether calls return before their work is done, so that a turn has several steps.
        cores: the processors that actors stay on; ``None`` for any.
        order: the part of an actor's order that names it.
        look_s: the shortest time between two looks at its status, so that they do not disturb a launch.
        peers: devices of the same kind that further ranks of a launch may take.
    """

    kind: str
    uuid: str
    machine: Machine
    bursts: bool
    cores: Sequence[int] | None
    order: Mapping[str, Any]
    look_s: float
    peers: Sequence["Device"]

    def status(self) -> Status | None:
        """Ask its driver; ``None`` where there is none."""


class Cpu:
    """The machine's CPU, of whose cores actors use the last one."""

    kind = "cpu"
    uuid = "cpu"
    bursts = DEVICE_KINDS[kind].bursts
    order: Mapping[str, Any] = {"kind": kind}
    look_s = 0.0
    peers: Sequence[Device] = ()

    def __init__(self) -> None:
        self.machine = of_hosts(this_machine())
        self.cores: Sequence[int] | None = [max(os.sched_getaffinity(0))] if hasattr(os, "sched_getaffinity") else None

    def status(self) -> None:
        """None: whether a core was disturbed is seen by the yardstick."""


def of_hosts(machine: Machine) -> Machine:
    """The machine, named with the number of hosts in a run over several: their network is part of the timings."""
    hosts = find_hosts()
    return replace(machine, name=f"{machine.name}-{hosts.count}-hosts") if hosts else machine
