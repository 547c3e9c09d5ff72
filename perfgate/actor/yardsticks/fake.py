"""The yardstick of the fake device, whose times a test's script sets."""

from perfgate.actor.devices.base import Device
from perfgate.actor.devices.fake import Fake
from perfgate.actor.pace import Pace
from perfgate.actor.programs.base import Program
from perfgate.shared.device_kinds import DEVICE_KINDS

VERSION = DEVICE_KINDS["fake"].yardstick_version


class FakeYardstick(Program):
    """Each of its components takes as long as the device's script says."""

    def __init__(self, device: Device, version: int) -> None:
        if version != VERSION or not isinstance(device, Fake):
            raise ValueError(f"yardstick {version} on {device.name} was asked for, this is {VERSION} on a fake device")
        self.device = device

    def drive(self, pace: Pace) -> None:
        """On each turn take one step, and report its parts."""
        while True:
            pace.begin()
            pace.end(None, self.device.yardstick_parts_s())
