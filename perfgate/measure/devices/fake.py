"""Scripted devices for tests; ``perfgate/actor/devices/fake.py`` describes the script."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from perfgate.measure.devices.base import Device, Status, no_variables
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
    cores: Sequence[int] | None = None
    look_s = 0.0
    environment = staticmethod(no_variables)

    def __init__(
        self, script: Path, gpu: GpuIdentity, pids_visible: bool, clock_mhz: float | None, idle_w: float
    ) -> None:
        self.uuid = gpu.uuid
        self.machine = gpu.machine(self.kind)
        self.order: Mapping[str, Any] = {"kind": self.kind, "script": str(script), "uuid": gpu.uuid}
        self.peers: Sequence[Device] = ()
        self._state = script.with_name(f"{script.name}.{gpu.uuid}.state")
        self._pids_visible = pids_visible
        self._clock_mhz = clock_mhz
        self._idle_w = idle_w

    def status(self) -> Status:
        """The state that the device last wrote to its file. Foreign processes count only while an actor is alive."""
        state = json.loads(self._state.read_text()) if self._state.exists() else {}
        actors = {pid for pid in state.get("pids", ()) if Path(f"/proc/{pid}").exists()}
        pids = actors | set(state.get("foreign", ())) if actors else actors
        return Status(
            slowdown_ns=state.get("slowdown_ns", {}),
            energy_j=state.get("energy_j", 0.0),
            pids=frozenset(pids if self._pids_visible else ()),
            busy=dict.fromkeys(pids, state.get("share", 0.0)) if self._pids_visible else None,
            at_s=state.get("now_s", 0.0),
            clock_mhz=self._clock_mhz,
        )

    def rested(self) -> Status | None:
        """The state after a second in which the device took what its script calls ``idle_w``, if it says so."""
        if not self._idle_w or not self._state.exists():
            return None
        state = json.loads(self._state.read_text())
        rested = {"energy_j": state["energy_j"] + self._idle_w, "now_s": state["now_s"] + 1.0}
        self._state.write_text(json.dumps(state | rested))
        return self.status()


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
        told = {
            device["uuid"]: (device.get("pids_visible", True), device.get("clock_mhz"), device.get("idle_w", 0.0))
            for device in described
        }
        return [Fake(script, gpu, *told[gpu.uuid]) for gpu in visible(gpus, os.environ)]
    except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise UserError(f"--perf-device fake:{path}: the script cannot be read: {error}") from None
