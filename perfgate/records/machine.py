"""The identity of a machine: only times of the same machine are compared."""

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
        name: made from the other attributes; also the name of the folder with the machine's baselines.
        device: ``cpu`` or ``cuda``.
        cpu: the model as the kernel names it, with family and model number, because some hypervisors hide the name.
        cpus: number of processors that this process may use.
        memory_gib: memory in whole GiB.
        gpu: the identity of the GPU, if there is one; the name then does not depend on the host.
    """

    name: str
    device: str
    cpu: str
    cpus: int
    memory_gib: int
    gpu: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The object in the first line of run files and in baseline files."""
        return {key: value for key, value in asdict(self).items() if value is not None}


@cache
def this_machine() -> Machine:
    """The machine that this process runs on."""
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
    """A text in lower case, with dashes in place of everything but letters and digits."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
