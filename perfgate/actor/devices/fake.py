"""A fake device that follows a script and has its own clock, so that tests can run everything without a GPU.

The script is a JSON file::

    {"devices": [{"uuid": "GPU-a", "name": "Fake 1", "memory_bytes": 2**30, "power_limit_w": 300,
                  "step_time_s": 0.01, "device_time_s": 0.008, "noise": 0.005, "seed": 0, "peak_bytes": 1000000,
                  "forks": true, "pids_visible": true, "foreign_share": 0.5, "clock_mhz": 1800,
                  "cores": [0, 1], "power_w": 100, "power_limits_w": [100, 400], "permits_limits": true,
                  "goes_up_to_w": 250,
                  "under_limit_w": {"200": {"step_time_s": 0.012, "power_w": 70}},
                  "yardstick": {"arithmetic": 0.002, "copy": 0.001, "launches": 0.003},
                  "launches": {"time": [{"step_time_s": 0.02, "events": {"5": "throttled"}}, {}]}}]}

An entry of ``launches`` says what is different in the first, second, ... launch of a pass (``yardstick`` is one, once
a session); ``events`` happen at the step of that number, counted from 0, warm-up included, or from that step on
(``"8-"``). ``under_limit_w`` says what is different under a power limit that was set; ``goes_up_to_w`` is the largest
limit that the device takes. Between ``memory_bytes`` and ``noise`` everything has a default.
The device writes its driver's reports to a file beside the script, where the stage reads them.
"""

import itertools
import json
import math
import os
import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfgate.actor.devices.base import Record

STEP_TIME_S = 0.01
DEVICE_SHARE = 0.8
POWER_W = 100.0
MEMORY_BYTES = 1 << 30
PEAK_BYTES = 1_000_000
YARDSTICK_S = {"arithmetic": 0.002, "copy": 0.001, "launches": 0.003}
FOREIGN_PID, FOREIGN_SHARE = 1, 0.5
COMPANY = {"contended": "foreign", "drawn_on": "drawing"}  # a process that computes, and a process that draws
COUNTED = {"throttled": "hw_thermal_slowdown", "power_brake": "hw_power_brake_slowdown", "power_capped": "sw_power_cap"}


class Fake:
    """One of a script's devices.

    Args:
        script: the path of the script.
        uuid: the UUID of the device in the script.
        pass_name: the pass of the launch.
    """

    name = "fake"
    torch_device = "cpu"

    def __init__(self, script: str, uuid: str, pass_name: str) -> None:
        self.uuid = uuid
        path = Path(script)
        device = next(device for device in json.loads(path.read_text())["devices"] if device["uuid"] == uuid)
        self._state_path = path.with_name(f"{path.name}.{uuid}.state")
        state = self._read()
        number = state["launches"].get(pass_name, 0)
        entries = device.get("launches", {}).get(pass_name, [])
        limit = path.with_name(f"{path.name}.{uuid}.limit")
        limited = device.get("under_limit_w", {}).get(f"{float(limit.read_text()):g}", {}) if limit.exists() else {}
        self._script: dict[str, Any] = {**device, **limited, **(entries[number] if number < len(entries) else {})}
        self._power_w = self._script.get("power_w", POWER_W)
        self._noise = random.Random(f"{self._script.get('seed', 0)} {uuid} {pass_name} {number}")
        self._now_s = 0.0
        self._steps = 0
        self._marks: list[float] = []
        self._energy_j = 0.0
        self._step_s = self._script.get("step_time_s", STEP_TIME_S)
        # Foreign processes whose actors have ended are removed with them.
        actors = [pid for pid in state["pids"] if Path(f"/proc/{pid}").exists()]
        others = {name: state[name] if actors else [] for name in COMPANY.values()}
        launches = {**state["launches"], pass_name: number + 1}
        self._write(state | {"launches": launches, "pids": [*actors, os.getpid()], **others})

    @classmethod
    def opened(cls, device: Mapping[str, Any], pass_name: str, threads: int) -> "Fake":
        """The fake device, for a process whose order names it."""
        del threads
        return cls(device["script"], device["uuid"], pass_name)

    def now_s(self) -> float:
        """The scripted clock: it moves when a step is done."""
        return self._now_s

    def processor_s(self) -> None:
        """0, because steps are scripted and compute nothing."""

    def synchronize(self) -> None:
        """Report the energy used so far to the driver."""
        state = self._read()
        taken = {
            "energy_j": state["energy_j"] + self._energy_j,
            "now_s": state["now_s"] + self._energy_j / self._power_w,
        }
        self._write(state | taken)
        self._energy_j = 0.0

    def begin_burst(self) -> None:
        """Note the beginning of the burst."""
        self._marks = [self._now_s]

    def stepped(self) -> None:
        """Advance the clock, and apply the script's events."""
        took_s = self._step_s * math.exp(self._noise.gauss(0, 1) * self._script.get("noise", 0.0))
        self._now_s += took_s
        self._marks.append(self._now_s)
        self._energy_j += self._power_w * took_s
        for when, event in self._script.get("events", {}).items():
            if when == str(self._steps) or (when.endswith("-") and self._steps >= int(when[:-1])):
                self._happen(event, took_s)
        self._steps += 1

    def yardstick_parts_s(self) -> dict[str, float]:
        """The scripted times of the yardstick's components; its next step takes their sum."""
        parts = YARDSTICK_S | self._script.get("yardstick", {})
        self._step_s = sum(parts.values())
        return {f"{part}_s": seconds for part, seconds in parts.items()}

    def _happen(self, event: str, took_s: float) -> None:
        state = self._read()
        if reason := COUNTED.get(event):
            held_ns = state["slowdown_ns"].get(reason, 0) + round(took_s * 1e9)
            self._write(state | {"slowdown_ns": {**state["slowdown_ns"], reason: held_ns}})
        elif event in COMPANY:
            share = self._script.get("foreign_share", FOREIGN_SHARE)
            self._write(state | {COMPANY[event]: [FOREIGN_PID], "share": share})
        elif event == "out_of_memory":
            raise MemoryError("the fake device is out of memory")
        elif event == "crash":
            raise RuntimeError("the fake device fell off the bus")
        elif event == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        elif event == "hang":
            time.sleep(3600)
        else:
            raise ValueError(f"the script has an unknown event {event!r}")

    def spans_s(self) -> list[float]:
        """Scripted times of the burst's steps."""
        return [end - begin for begin, end in itertools.pairwise(self._marks)]

    def begin_record(self, host: bool = False) -> None:
        """Note the beginning of the record."""
        del host
        self._recorded = self._steps

    def end_record(self) -> Record:
        """The scripted time in kernels, and one kernel a step."""
        steps = self._steps - self._recorded
        share = math.exp(self._noise.gauss(0, 1) * self._script.get("noise", 0.0))
        device_s = self._script.get("device_time_s", DEVICE_SHARE * self._step_s)
        return Record(steps, 0, steps * device_s * share)

    def mark(self) -> float:
        """A time on the scripted clock."""
        return self._now_s

    def between_s(self, begin: float, end: float) -> float:
        """Marks are times."""
        return end - begin

    def reset_peaks(self) -> None:
        """Do nothing, because a step's peak is scripted."""

    def peaks(self) -> dict[str, float]:
        """The scripted peak; a peak above the device's memory is out of memory."""
        peak = self._script.get("peak_bytes", PEAK_BYTES)
        if peak > self._script.get("memory_bytes", MEMORY_BYTES):
            raise MemoryError(f"the fake device is out of memory: {peak} bytes wanted")
        return {"peak_memory_bytes": peak, "peak_reserved_bytes": 2 * peak, "allocation_retries": 0}

    def segments(self) -> list[dict[str, Any]]:
        """Empty: a scripted device has no allocator."""
        return []

    def prove(self, compiled: bool) -> None:
        """Raise if the script says that a fork cannot use the device."""
        if not self._script.get("forks", True):
            raise RuntimeError("the fake device cannot be reached after a fork")

    def _read(self) -> dict[str, Any]:
        """The driver's state. The actors of a duet share it; each writes only in its own turn."""
        found = json.loads(self._state_path.read_text()) if self._state_path.exists() else {}
        nothing: dict[str, Any] = {"launches": {}, "pids": [], "foreign": [], "drawing": [], "slowdown_ns": {}}
        return {**nothing, "energy_j": 0.0, "now_s": 0.0, **found}

    def _write(self, state: dict[str, Any]) -> None:
        temporary = self._state_path.with_suffix(".tmp")
        temporary.write_text(json.dumps(state))
        temporary.replace(self._state_path)
