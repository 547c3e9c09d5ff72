"""Monitors the device during a launch, through its driver."""

import os
import statistics
import time
from collections.abc import Mapping, Set

from perfgate.measure.devices.base import Device, Status
from perfgate.measure.disturbance import Company, undisturbed
from perfgate.records.launch import Launch


class DeviceMonitor:
    """Asks the device's driver from time to time, and decides at the end whether the launch is valid.

    Args:
        device: the device of the launch.
        actors: process ids of the stage's own actors; the stage adds to this set.
        limit_w: the power limit that launches must have; ``None`` if any is accepted.
    """

    def __init__(self, device: Device, actors: Set[int], limit_w: float | None = None) -> None:
        self._device = device
        self._actors = actors
        self._seen: list[Status] = []
        self._foreign: set[int] = set()
        self._shares: list[Mapping[int, float]] = []
        self._visible = False
        self._limit_w = limit_w
        self._next_s = 0.0
        self.look(at_once=True)

    def look(self, at_once: bool = False) -> None:
        """Ask the driver, unless it was asked too recently to do so without disturbing the launch."""
        now_s = time.monotonic()
        if now_s < self._next_s and not at_once:
            return
        status = self._device.status()
        if status is None:
            return
        # The first look comes before the actor exists, so the second one is not delayed.
        self._next_s = now_s + self._device.look_s if self._seen else 0.0
        computing = status.pids or frozenset()
        own = {pid for pid in computing if self._owns(pid)}
        self._visible = self._visible or bool(own)
        self._foreign |= computing - own
        if self._seen and status.busy:  # the first look's samples are from the time before the launch
            self._shares.append(status.busy)
        self._seen.append(status)

    def _owns(self, pid: int) -> bool:
        """Whether a process is an actor, or was started by one. (Each actor leads a session of its own.)"""
        try:
            return pid in self._actors or os.getsid(pid) in self._actors
        except (ProcessLookupError, PermissionError):
            return False

    def judge(self, launch: Launch) -> Launch:
        """The launch with the observations of the device; rejected if something disturbed it."""
        if not self._seen:
            return launch
        return undisturbed(launch, self._device.uuid, self._seen, self.company(), self._limit_w)

    def company(self) -> Company | None:
        """The foreign processes on the device; ``None`` if the driver does not even show the stage's own ones.

        The driver's utilization samples include processes that only draw; every desktop has some, and they do not
        count.
        """
        if not self._visible:
            return None
        others = [{pid: taken for pid, taken in each.items() if pid in self._foreign} for each in self._shares]
        busy = sorted({pid for shares in others for pid, share in shares.items() if share > 0})
        share = statistics.fmean(sum(shares.values()) for shares in others) if others else None
        return Company(sorted(self._foreign), busy, share)
