"""Reads the GPUs through ``nvidia-smi``, if NVML's Python binding is not installed.

Fields: ``nvidia-smi --help-query-gpu`` (https://docs.nvidia.com/deploy/nvidia-smi/).
"""

import csv
import math
import subprocess
from collections.abc import Sequence

from perfgate.measure.devices.base import Status
from perfgate.records.gpu import GpuIdentity, gpu_from
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import whole

TIMEOUT_S = 30
IDENTITY = ("index", "uuid", "name", "memory.total", "power.limit", "mig.mode.current", "ecc.mode.current")
COUNTERS = ("sw_power_cap", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown")
STATES = (*COUNTERS, "hw_slowdown")
# Driver 535 renamed these fields; for a while, drivers accept both names.
PREFIXES = ("clocks_event_reasons", "clocks_throttle_reasons")


class Smi:
    """Runs ``nvidia-smi``, which takes some tenths of a second and is therefore run seldom.

    Raises:
        RuntimeError: ``nvidia-smi`` does not answer.
    """

    look_s = 5.0

    def __init__(self) -> None:
        known = ask("--help-query-gpu")
        self._fields = {
            name: field
            for name, candidates in wanted().items()
            for field in [next((field for field in candidates if f'"{field}"' in known), None)]
            if field
        }

    def gpus(self) -> list[GpuIdentity]:
        """All GPUs.

        Raises:
            RuntimeError: the command's output does not have the form that was asked for.
            UserError: a GPU is divided into slices, which this command does not distinguish.
        """
        found = []
        for row in query(IDENTITY):
            if len(row) != len(IDENTITY) or whole(row[0]) is None or whole(row[3]) is None:
                raise RuntimeError(f"nvidia-smi tells no number and memory of a GPU ({', '.join(row)})")
            index, uuid, name, memory_mib, limit_w, mig, ecc = row
            if mig == "Enabled":
                raise UserError(f"GPU {index} is in MIG mode, which needs NVML; pip install 'perfgate[gpu]'")
            facts = {"uuid": uuid, "index": index, "name": name, "memory_bytes": int(memory_mib) * 2**20}
            more = {"power_limit_w": number(limit_w), "ecc": {"Enabled": True, "Disabled": False}.get(ecc)}
            found.append(gpu_from(facts | more))
        return found

    def status(self, uuid: str) -> Status:
        """The status of a GPU and its processes; an empty status if the command does not report it."""
        try:
            (row,) = query(tuple(self._fields.values()), uuid)
            told = dict(zip(self._fields, row, strict=True))
            apps = table("--query-compute-apps=pid", f"--id={uuid}")
        except (RuntimeError, ValueError):  # the command fails, or prints another number of values
            return Status()
        counted = {name: number(told.get(f"{name} us", "")) for name in COUNTERS}
        return Status(
            slowdown_ns={name: round(value * 1e3) for name, value in counted.items() if value is not None},
            reasons=frozenset(name for name in STATES if told.get(name) == "Active"),
            power_w=number(told.get("power", "")),
            clock_mhz=number(told.get("clock", "")),
            pids=frozenset(pid for row in apps if (pid := whole(row[0])) is not None),
        )


def wanted() -> dict[str, list[str]]:
    """The fields of the command for each of Perfgate's names, the preferred field first."""
    states = {name: [f"{prefix}.{name}" for prefix in PREFIXES] for name in STATES}
    counters = {f"{name} us": [f"{PREFIXES[0]}_counters.{name}"] for name in COUNTERS}
    return states | counters | {"power": ["power.draw"], "clock": ["clocks.sm", "clocks.current.sm"]}


def query(fields: Sequence[str], uuid: str = "") -> list[list[str]]:
    """Rows of the table of GPUs."""
    return table(f"--query-gpu={','.join(fields)}", *([f"--id={uuid}"] if uuid else []))


def table(*arguments: str) -> list[list[str]]:
    """Rows of a table, without heading and units."""
    text = ask(*arguments, "--format=csv,noheader,nounits")
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(text.splitlines()) if row]
    except csv.Error as error:
        raise RuntimeError(f"nvidia-smi prints no table ({error})") from None


def ask(*arguments: str) -> str:
    """Run the command, and return its output."""
    try:
        done = subprocess.run(
            ["nvidia-smi", *arguments], capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stdout", "") or "").strip() or str(error)
        raise RuntimeError(f"nvidia-smi fails ({said.splitlines()[0]})") from None
    return done.stdout


def number(text: str) -> float | None:
    """A finite number; ``None`` for texts such as ``[N/A]``."""
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
