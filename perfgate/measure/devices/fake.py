"""Scripted devices for tests; ``perfgate/actor/devices/fake.py`` describes the script."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfgate.measure.devices.base import Device, PowerLimit, Status, no_variables
from perfgate.measure.devices.visible import visible
from perfgate.records.gpu import GpuIdentity, gpu_from
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError

KIND = DEVICE_KINDS["fake"]
MEMORY_BYTES = 1 << 30


class Fake:
    """One of a script's devices. Its state is in a file beside the script."""

    kind = KIND.name
    bursts = KIND.bursts
    look_s = 0.0
    environment = staticmethod(no_variables)

    def __init__(
        self,
        script: Path,
        gpu: GpuIdentity,
        pids_visible: bool,
        clock_mhz: float | None,
        idle_w: float,
        cores: Sequence[int] | None,
    ) -> None:
        self.uuid = gpu.uuid
        self.cores = cores
        self.machine = gpu.machine(self.kind)
        self.order: Mapping[str, Any] = {"kind": self.kind, "script": str(script), "uuid": gpu.uuid}
        self.peers: Sequence[Device] = ()
        self._script = script
        self._state = script.with_name(f"{script.name}.{gpu.uuid}.state")
        self._pids_visible = pids_visible
        self._clock_mhz = clock_mhz
        self._idle_w = idle_w

    def status(self) -> Status:
        """The state that the device last wrote to its file. Foreign processes count only while an actor is alive."""
        state = json.loads(self._state.read_text()) if self._state.exists() else {}
        actors = {pid for pid in state.get("pids", ()) if Path(f"/proc/{pid}").exists()}
        pids = actors | set(state.get("foreign", ())) if actors else actors
        drawing = set(state.get("drawing", ())) if actors else set()
        return Status(
            slowdown_ns=state.get("slowdown_ns", {}),
            energy_j=state.get("energy_j", 0.0),
            energy_from=KIND.name,
            pids=frozenset(pids if self._pids_visible else ()),
            busy=dict.fromkeys(pids | drawing, state.get("share", 0.0)) if self._pids_visible else None,
            at_s=state.get("now_s", 0.0),
            clock_mhz=self._clock_mhz,
            power_limit_w=limit_w(self._script, self.uuid),
        )

    def rested(self) -> Status | None:
        """The state after a second in which the device used the ``idle_w`` of its script, if the script has it."""
        if not self._idle_w or not self._state.exists():
            return None
        state = json.loads(self._state.read_text())
        rested = {"energy_j": state["energy_j"] + self._idle_w, "now_s": state["now_s"] + 1.0}
        self._state.write_text(json.dumps(state | rested))
        return self.status()


class FakePower:
    """Reads and sets the power limit of one of a script's devices; the limit is in a file beside the script."""

    def __init__(self, script: str, uuid: str) -> None:
        self._script, self._uuid = Path(script), uuid

    def read(self) -> PowerLimit:
        """The present limit.

        Raises:
            UserError: the script names none.
        """
        now_w, described = limit_w(self._script, self._uuid), described_in(self._script, self._uuid)
        if now_w is None:
            raise UserError(f"the driver does not tell the power limit of {self._uuid}: Not Supported")
        return PowerLimit(now_w, now_w, *described.get("power_limits_w", (now_w, now_w)))

    def set(self, limit_w: float) -> None:
        """Set the limit, if the script permits it; the script can cap the limit in force.

        Raises:
            UserError: the script does not permit it.
        """
        described = described_in(self._script, self._uuid)
        if not described.get("permits_limits", True):
            raise UserError(f"the power limit of {self._uuid} cannot be set: this user may not set it, only root may")
        file = limit_file(self._script, self._uuid)
        written = file.with_suffix(".new")  # so that nobody reads a half-written file
        written.write_text(str(min(limit_w, described.get("goes_up_to_w", limit_w))))
        written.replace(file)


def power_of(order: Mapping[str, Any]) -> FakePower:
    """The power control of the device that an order names."""
    return FakePower(order["script"], order["uuid"])


def described_in(script: Path, uuid: str) -> dict[str, Any]:
    """The script's description of one device."""
    found: dict[str, Any] = next(one for one in json.loads(script.read_text())["devices"] if one["uuid"] == uuid)
    return found


def limit_file(script: Path, uuid: str) -> Path:
    """The file with the limit that was set for a device; its actors only read it."""
    return script.with_name(f"{script.name}.{uuid}.limit")


def limit_w(script: Path, uuid: str) -> float | None:
    """The power limit of a device: the limit that was set, or else the script's."""
    file = limit_file(script, uuid)
    if file.exists():
        return float(file.read_text())
    scripted: float | None = described_in(script, uuid).get("power_limit_w")
    return scripted


def fake_devices(required: bool, path: str) -> list[Fake]:
    """The devices of a script that are visible to this process.

    Args:
        required: not used; such a device is never found automatically, so it is always required.
        path: the path of the script.

    Raises:
        UserError: the script cannot be read.
    """
    del required
    script = Path(path).resolve()
    try:
        described = json.loads(script.read_text())["devices"]
        defaults = {"name": "Fake GPU", "memory_bytes": MEMORY_BYTES}
        gpus = [gpu_from({**defaults, **device, "index": index}) for index, device in enumerate(described)]
        defaults = {"pids_visible": True, "clock_mhz": None, "idle_w": 0.0, "cores": None}
        told = {one["uuid"]: [one.get(name, usual) for name, usual in defaults.items()] for one in described}
        return [Fake(script, gpu, *told[gpu.uuid]) for gpu in visible(gpus, os.environ)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UserError(f"--perf-device fake:{path}: the script cannot be read: {error}") from None
