"""Monitors the device during a launch, through its driver."""

import os
import time
from collections.abc import Set

from perfgate.measure.devices.base import Device, Status
from perfgate.measure.validity import undisturbed
from perfgate.records.launch import Launch


class DeviceMonitor:
    """Asks the device's driver from time to time, and judges in the end whether the launch may be used.

    Args:
        device: of the launch.
        actors: process ids of the stage's own actors; the set grows meanwhile.
    """

    def __init__(self, device: Device, actors: Set[int]) -> None:
        self._device = device
        self._actors = actors
        self._seen: list[Status] = []
        self._foreign: set[int] = set()
        self._visible = False
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
        # The first look comes before the actor is there, so the second one is not put off.
        self._next_s = now_s + self._device.look_s if self._seen else 0.0
        self._seen.append(status)
        own = {pid for pid in status.pids or () if self._owns(pid)}
        self._visible = self._visible or bool(own)
        self._foreign |= (status.pids or frozenset()) - own

    def _owns(self, pid: int) -> bool:
        """Whether a process is an actor, or was started by one. (Actors lead sessions of their own.)"""
        try:
            return pid in self._actors or os.getsid(pid) in self._actors
        except (ProcessLookupError, PermissionError):
            return False

    def judge(self, launch: Launch) -> Launch:
        """The launch, with what was seen of the device; rejected if something disturbed it."""
        if not self._seen:
            return launch
        others = sorted(self._foreign) if self._visible else None
        return undisturbed(launch, self._device.uuid, self._seen, others)
