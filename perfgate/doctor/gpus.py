"""The GPUs of this machine, as ``nvidia-smi`` lists them."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from perfgate.doctor.finding import Finding
from perfgate.measure.devices.smi import query

FIELDS = ("name", "uuid", "memory.total", "driver_version", "persistence_mode", "power.limit", "mig.mode.current")


@dataclass(frozen=True)
class Card:
    """One GPU; values that the driver does not report are empty.

    Attributes:
        memory_mib: memory in MiB.
        persistence: ``Enabled`` or ``Disabled``: whether the driver stays loaded while nobody uses the GPU.
        power_limit_w: power limit in W.
        mig: ``Enabled`` if the GPU is divided into MIG instances.
    """

    name: str
    uuid: str
    memory_mib: str
    driver: str
    persistence: str
    power_limit_w: str
    mig: str

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return asdict(self)


def gpus() -> list[Card] | None:
    """All GPUs; ``None`` if ``nvidia-smi`` is not on the path.

    Raises:
        RuntimeError: ``nvidia-smi`` fails, or takes too long.
    """
    if shutil.which("nvidia-smi") is None:
        return None
    rows = query(FIELDS)
    return [Card(*("" if "N/A" in cell else cell for cell in row)) for row in rows if len(row) == len(FIELDS)]


def look(versions: dict[str, str]) -> tuple[list[Card], list[Finding]]:
    """The GPUs, and findings about them.

    Args:
        versions: versions of the installed libraries by name.
    """
    try:
        found = gpus()
    except RuntimeError as error:
        text = f"{error}, so no GPU can be used."
        return [], [Finding("gpu", "note", text, "nvidia-smi")]
    if not found:
        why = "nvidia-smi is not on the path" if found is None else "nvidia-smi lists none"
        text = f"There is no GPU ({why}), so times and memory are measured on the CPU; exact metrics need no GPU."
        return [], [Finding("gpu", "note", text)]
    return found, list(findings(found, versions))


def findings(found: Sequence[Card], versions: dict[str, str]) -> Iterator[Finding]:
    """Findings about the GPUs that exist."""
    for gpu in found:
        about = [f"{gpu.memory_mib} MiB", f"driver {gpu.driver}", f"power limit {gpu.power_limit_w or '?'} W"]
        yield Finding("gpu", "ok", f"{gpu.name} ({', '.join(about)}), {gpu.uuid}.")
        if gpu.persistence == "Disabled":
            text = f"The driver of {gpu.name} unloads while nobody uses the GPU, and then loses its settings."
            yield Finding("gpu", "note", text, f"sudo nvidia-smi -i {gpu.uuid} -pm 1")
        if gpu.mig == "Enabled":
            yield Finding("gpu", "note", f"{gpu.name} is cut into MIG instances, which share its power and clock.")
    if versions.get("torch", "").endswith("+cpu"):
        text = f"torch {versions['torch']} was built without CUDA, so it cannot use the GPU."
        yield Finding("gpu", "note", text, "pip install --force-reinstall torch")
