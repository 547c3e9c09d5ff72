"""An emulated CUDA card: exact memory and launches, and no times (docs/emulated-gpu.md)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from perfgate.measure.devices.base import Device
from perfgate.measure.devices.cuda import EMULATED
from perfgate.measure.emulator.build import started_on
from perfgate.measure.emulator.profiles import PROFILES, STANDARD, Profile
from perfgate.records.gpu import GpuIdentity
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError, nearest

KIND = DEVICE_KINDS["emulated"]
UUID = f"{EMULATED}000000000001"


class Emulated:
    """One card of a profile.

    Args:
        title: the profile's name.
        profile: the card's profile.
    """

    kind = KIND.name
    bursts = KIND.bursts
    cores: Sequence[int] | None = None
    look_s = 0.0

    def __init__(self, title: str, profile: Profile) -> None:
        self.uuid = UUID
        capability = divmod(profile.capability, 10)
        size_bytes = profile.memory_mib << 20
        identity = GpuIdentity(UUID, 0, profile.name, size_bytes, profile.power_w, capability=capability)
        self.machine = replace(identity.machine(self.kind), name=f"{self.kind}-{title}")
        self.order: Mapping[str, Any] = {"kind": self.kind, "uuid": UUID}
        self.peers: Sequence[Device] = ()
        self._profile = profile

    def environment(self, python: str) -> Mapping[str, str]:
        """The variables of a process that runs on it.

        Raises:
            UserError: the emulation cannot be built for that interpreter.
        """
        return started_on(self._profile, python)

    def status(self) -> None:
        """``None``: nothing heats the card, and nobody else uses it."""

    def rested(self) -> None:
        """``None``: the card uses no energy."""


def emulated_devices(required: bool, title: str = "") -> list[Emulated]:
    """The card of a profile; it is never found automatically.

    Args:
        required: not used; such a card is always required.
        title: the profile's name; the standard profile if it is empty.

    Raises:
        UserError: there is no such profile, or its emulation cannot be built here.
    """
    del required
    title = title or STANDARD
    if title not in PROFILES:
        raise UserError(f"--perf-device emulated:{title}: there is no such card{nearest(title, PROFILES)}")
    return [Emulated(title, PROFILES[title])]
