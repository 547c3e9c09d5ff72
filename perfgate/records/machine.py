"""The identity under which timings may be compared."""

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")
CPU_KEYS = ("vendor_id", "cpu family", "model", "model name")


@dataclass(frozen=True)
class Machine:
    """A CPU machine: model, number of usable processors, memory; or a GPU in it.

    Attributes:
        name: slug of all the others, and the name of the folder that holds the machine's baselines.
        device: ``cpu`` or ``cuda``.
        cpu: model as the kernel names it, with family and model number, since some hypervisors hide the name.
        cpus: processors that this process may use.
        memory_gib: whole GiB.
        gpu: what identifies the GPU; its host is then no part of the name.
    """

    name: str
    device: str
    cpu: str
    cpus: int
    memory_gib: int
    gpu: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """As the run file's first line and the baseline files hold it."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@cache
def this_machine() -> Machine:
    """Identify the machine that this runs on."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory_gib = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)
    cpu = cpu_model()
    return Machine(slug(f"cpu {cpu} {cpus}x {memory_gib}gib"), "cpu", cpu, cpus, memory_gib)


def cpu_model() -> str:
    """The processor's name, family and model number."""
    if not CPUINFO.exists():
        return platform.processor() or platform.machine()
    found: dict[str, str] = {}
    for line in CPUINFO.read_text(errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in CPU_KEYS:
            found.setdefault(key.strip(), value.strip())
    name = found.get("model name") or platform.machine()
    numbers = "-".join(found[key] for key in ("cpu family", "model") if key in found)
    return f"{name} {numbers}".strip()


def slug(text: str) -> str:
    """Lower case, with dashes for all that is not a letter or a digit."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
