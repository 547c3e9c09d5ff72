"""The parent's view of a device: its identity, its processes, and what slows it down."""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from perfgate.records.machine import Machine, this_machine
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.system.hosts import find_hosts


@dataclass(frozen=True)
class Status:
    """One report of a device's driver; fields that the driver does not report keep their defaults.

    Attributes:
        slowdown_ns: by reason, nanoseconds for which clocks were held down since the driver was loaded.
        reasons: the reasons for which clocks are held down now.
        energy_j: joules used since the driver was loaded.
        energy_from: the source of that counter: ``nvml`` or ``rapl``; ``fake`` on a scripted device.
        power_w: power now.
        power_limit_w: the power limit in force.
        clock_mhz: clock of the multiprocessors now.
        pids: processes that compute on the device; ``None`` if the driver does not report them.
        busy: by process, whether it computes or draws, the share of the multiprocessors' time that it used since the
            last report; empty if the driver has taken no new sample, ``None`` if it does not report them.
        at_s: when the report was made, in seconds from any beginning.
    """

    slowdown_ns: Mapping[str, int] = field(default_factory=dict)
    reasons: frozenset[str] = frozenset()
    energy_j: float | None = None
    energy_from: str = ""
    power_w: float | None = None
    power_limit_w: float | None = None
    clock_mhz: float | None = None
    pids: frozenset[int] | None = None
    busy: Mapping[int, float] | None = None
    at_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True)
class PowerLimit:
    """The power limits that a device's driver reports, in watts.

    Attributes:
        set_w: the limit that was set.
        enforced_w: the limit in force; lower if something else, such as the board, limits the device more.
        least_w: the smallest limit that can be set.
        most_w: the largest one.
    """

    set_w: float
    enforced_w: float
    least_w: float
    most_w: float


SLACK_W = 1.0  # drivers round limits, and machines are named by whole watts


def other_limit(one_w: float, other_w: float) -> bool:
    """Whether two power limits differ by more than rounding."""
    return abs(one_w - other_w) >= SLACK_W


class PowerControl(Protocol):
    """Reads and sets the power limit of one device."""

    def read(self) -> PowerLimit:
        """The present limit.

        Raises:
            UserError: the driver does not report it.
        """

    def set(self, limit_w: float) -> None:
        """Set the limit, for everybody who uses the device.

        Raises:
            UserError: this user may not set it, or the device has none that can be set.
        """


class Device(Protocol):
    """The stage's view of a device.

    Attributes:
        kind: ``cpu``, ``cuda`` or ``fake``.
        uuid: the UUID, which names the device's lock and is stored with each launch.
        machine: the machine under whose name its times are stored.
        bursts: whether calls return before the work is done, so that a turn consists of several steps.
        cores: the processors that actors are bound to; ``None`` for any.
        order: the part of an actor's order that names the device.
        look_s: the shortest time between two questions to the driver, so that they do not disturb a launch.
        peers: devices of the same kind that further ranks of a launch may use.
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
        """Ask the driver; ``None`` if there is no driver."""

    def rested(self) -> Status | None:
        """Ask the driver again after a pause without work; ``None`` if that gives no information."""

    def environment(self, python: str) -> Mapping[str, str]:
        """The variables that processes of an interpreter need to reach the device, besides the usual ones."""


def no_variables(python: str) -> Mapping[str, str]:
    """The ``environment`` of a device that needs no variables."""
    del python
    return {}


class Cpu:
    """The machine's CPU; actors use the last one of its cores."""

    kind = "cpu"
    uuid = "cpu"
    bursts = DEVICE_KINDS[kind].bursts
    order: Mapping[str, Any] = {"kind": kind}
    look_s = 0.0
    peers: Sequence[Device] = ()
    environment = staticmethod(no_variables)

    def __init__(self) -> None:
        self.machine = of_hosts(this_machine())
        self.cores: Sequence[int] | None = [max(os.sched_getaffinity(0))] if hasattr(os, "sched_getaffinity") else None

    def status(self) -> None:
        """``None``: a CPU has no driver to ask; disturbances show in the scheduler's account and in the yardstick."""

    def rested(self) -> None:
        """``None``: a CPU has no driver to ask."""


def of_hosts(machine: Machine) -> Machine:
    """The machine, with the number of hosts in its name if there are several, because times include their network."""
    hosts = find_hosts()
    return replace(machine, name=f"{machine.name}-{hosts.count}-hosts") if hosts else machine
