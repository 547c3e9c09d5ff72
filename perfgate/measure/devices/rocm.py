"""Finds AMD's GPUs and asks for their status through ``amd-smi``, without using HIP.

It was written from AMD's documentation and has never run beside such a GPU. Output that differs from the documentation
(https://rocm.docs.amd.com/projects/amdsmi/en/latest/how-to/amdsmi-cli-tool.html) is ignored.
"""

import math
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from perfgate.measure.devices.base import Status
from perfgate.measure.devices.cuda import CudaHandle
from perfgate.measure.devices.visible import cores_of
from perfgate.records.gpu import GpuIdentity, gpu_from
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json

Answers = dict[int, Mapping[str, Any]]
KIND = DEVICE_KINDS["rocm"]
TIMEOUT_S = 30
HIP_UUID = re.compile(r"GPU-[0-9a-f-]+", re.IGNORECASE)
# These also hide GPUs, by HIP's own numbers, whose relation to amd-smi's numbers is not documented.
OTHERS = ("HIP_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL", "CUDA_VISIBLE_DEVICES")
# amd-smi's reasons for a reduced clock, with the names that NVIDIA's driver has for the same reasons.
REASONS = {
    "ppt_violation_status": "sw_power_cap",
    "socket_thermal_violation_status": "hw_thermal_slowdown",
    "vr_thermal_violation_status": "hw_thermal_slowdown",
    "hbm_thermal_violation_status": "hw_thermal_slowdown",
    "prochot_violation_status": "hw_slowdown",
}


class RocmHandle(CudaHandle):
    """One GPU of AMD."""

    kind = KIND.name
    bursts = KIND.bursts


class AmdSmi:
    """Runs ``amd-smi``, which takes some tenths of a second and is therefore run seldom."""

    look_s = 5.0

    def __init__(self) -> None:
        self._places: dict[str, str] = {}

    def gpus(self) -> list[GpuIdentity]:
        """All GPUs.

        Raises:
            RuntimeError: the command fails, or its output differs from the documentation.
            UserError: a GPU is divided, or has no name that a process could use.
        """
        facts = of_gpus(ask("static", "--asic", "--vram", "--limit"))
        found = []
        for number, row in of_gpus(ask("list", "-e")).items():
            if (part := row.get("partition_id")) not in (None, 0, "0", "N/A"):
                raise UserError(f"GPU {number} is partition {part} of a divided GPU, which Perfgate does not know yet")
            uuid = str(row.get("hip_uuid"))
            if not HIP_UUID.fullmatch(uuid):
                raise UserError(
                    f"amd-smi list -e tells no HIP_UUID of GPU {number}, by which a process is bound to it; "
                    "run as a member of the group render, with ROCm 6.4 or newer"
                )
            self._places[uuid] = str(row.get("bdf", number))
            found.append(identity(number, uuid, facts.get(number, {})))
        return found

    def status(self, uuid: str) -> Status:
        """The status of a GPU and its processes, without facts that the command does not report."""
        place = self._places.get(uuid, uuid)
        try:
            told = only(of_gpus(ask("metric", "-g", place)))
            company = only(of_gpus(ask("process", "-g", place)))
        except RuntimeError:
            return Status()
        held = section(told, "throttle")
        return Status(
            reasons=frozenset(reason for name, reason in REASONS.items() if held.get(name) == "ACTIVE"),
            energy_j=number_in(section(told, "energy").get("total_energy_consumption"), "J"),
            energy_from="amd-smi",
            power_w=number_in(section(told, "power").get("socket_power"), "W"),
            clock_mhz=number_in(section(section(told, "clock"), "gfx_0").get("clk"), "MHz"),
            pids=processes(company.get("process_list")),
        )


def identity(number: int, uuid: str, facts: Mapping[str, Any]) -> GpuIdentity:
    """The identity of a GPU from the part about it in ``amd-smi static``.

    Raises:
        RuntimeError: its name or its memory is missing.
    """
    name = section(facts, "asic").get("market_name")
    size_mib = number_in(section(facts, "vram").get("size"), "MB")
    if not isinstance(name, str) or name == "N/A" or not size_mib:
        raise RuntimeError(f"amd-smi tells no market_name and vram size of GPU {number}")
    limit = section(facts, "limit")
    # Newer versions have the limit in force under the first of two kinds of limits (PPT0).
    limit_w = number_in(section(limit, "ppt0").get("socket_power_limit", limit.get("socket_power")), "W")
    size_bytes = int(size_mib * 2**20)
    return gpu_from({"uuid": uuid, "index": number, "name": name, "memory_bytes": size_bytes, "power_limit_w": limit_w})


def processes(rows: Any) -> frozenset[int] | None:
    """The processes on a GPU, from rows of ``amd-smi process``; ``None`` if the rows differ from the documentation.

    If there is no process, a row has a text in its place. Processes without memory on this GPU use another one.
    """
    if not isinstance(rows, list):
        return None
    found = set()
    for info in (row.get("process_info") if isinstance(row, dict) else None for row in rows):
        if isinstance(info, dict) and isinstance(info.get("pid"), int):
            used = info.get("mem_usage")
            if not (isinstance(used, dict) and used.get("value") == 0):
                found.add(info["pid"])
        elif not isinstance(info, str):
            return None
    return frozenset(found)


def ask(*arguments: str) -> Any:
    """Run the command, and return its parsed JSON.

    Raises:
        RuntimeError: it fails, takes too long, or prints no JSON.
    """
    try:
        done = subprocess.run(
            ["amd-smi", *arguments, "--json"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or getattr(error, "stdout", "") or "").strip() or str(error)
        raise RuntimeError(f"amd-smi {arguments[0]} fails ({said.splitlines()[0]})") from None
    # Warnings, such as one about a missing group, come before the JSON.
    lines = done.stdout.splitlines()
    begin = next((number for number, line in enumerate(lines) if line.startswith(("[", "{"))), len(lines))
    try:
        return load_json("\n".join(lines[begin:]))
    except ValueError:
        raise RuntimeError(f"amd-smi {arguments[0]} prints no JSON") from None


def of_gpus(answer: Any) -> Answers:
    """The part of an answer about each GPU, by its number; newer versions have the list within ``gpu_data``.

    Raises:
        RuntimeError: it has another form.
    """
    rows = answer.get("gpu_data") if isinstance(answer, dict) else answer
    if not isinstance(rows, list) or not all(isinstance(row, dict) and isinstance(row.get("gpu"), int) for row in rows):
        raise RuntimeError("amd-smi prints no list of GPUs with a number each")
    return {row["gpu"]: row for row in rows}


def number_in(value: Any, unit: str) -> float | None:
    """A number with this unit; ``None`` for another unit, or if the value or the unit is ``N/A``."""
    if not isinstance(value, dict) or value.get("unit") != unit:
        return None
    found = value.get("value")
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else None


def section(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of an answer; empty if it is missing, or a text such as ``N/A`` takes its place."""
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def only(answers: Answers) -> Mapping[str, Any]:
    """The answer about the only GPU that was asked about.

    Raises:
        RuntimeError: the answer has more GPUs, or none.
    """
    if len(answers) != 1:
        raise RuntimeError(f"amd-smi answers about {len(answers)} GPUs where one was asked about")
    return next(iter(answers.values()))


def visible(gpus: Sequence[GpuIdentity], environment: Mapping[str, str]) -> list[GpuIdentity]:
    """The GPUs that ``ROCR_VISIBLE_DEVICES`` names, in its order; all GPUs if it is not set.

    Raises:
        UserError: GPUs are named by numbers, or by another variable.
    """
    for other in OTHERS:
        if other in environment and len(gpus) > 1:
            raise UserError(f"{other} is set, whose numbers cannot be told; name the GPUs by {KIND.visible}=GPU-...")
    named = environment.get(KIND.visible)
    if named is None:
        return list(gpus)
    entries = [entry.strip() for entry in named.split(",")]
    if numbers := [entry for entry in entries if entry.isdigit()]:
        raise UserError(
            f"{KIND.visible} names {', '.join(numbers)}, and which GPU has which number cannot be told; "
            "name the GPUs by their HIP_UUID (amd-smi list -e)"
        )
    return [gpu for entry in dict.fromkeys(entries) for gpu in gpus if gpu.uuid.lower() == entry.lower()]


def rocm_devices(required: bool, argument: str = "") -> list[RocmHandle]:
    """The GPUs that are visible to this process.

    Args:
        required: whether to raise an exception if ``amd-smi`` cannot be asked.

    Raises:
        UserError: a variable is ambiguous; or a GPU is required, and the command does not tell about one.
    """
    if argument:
        raise UserError(f"--perf-device rocm:{argument}: name the GPU by {KIND.visible}={argument}, and use rocm")
    if shutil.which("amd-smi") is None:
        if required:
            raise UserError("--perf-device rocm: amd-smi is not on the path; install AMD's driver and ROCm")
        return []
    reader = AmdSmi()
    try:
        gpus = visible(reader.gpus(), os.environ)
    except RuntimeError as error:
        if required:
            raise UserError(f"--perf-device rocm: the driver does not answer: {error}") from None
        return []
    return [RocmHandle(gpu, reader, cores_of(position, len(gpus))) for position, gpu in enumerate(gpus)]
