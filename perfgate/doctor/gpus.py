"""The GPUs of this machine, as ``nvidia-smi`` lists them."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from perfgate.doctor.finding import Finding
from perfgate.measure.devices.base import Device
from perfgate.measure.devices.smi import query
from perfgate.shared.device_kinds import DEVICE_KINDS

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


def look(versions: dict[str, str], device: Device | None) -> tuple[list[Card], list[Finding]]:
    """The GPUs, and findings about them.

    Args:
        versions: versions of the installed libraries by name.
        device: the GPU that a run would measure on; ``None`` if it would take the CPU.
    """
    try:
        found = gpus()
    except RuntimeError as error:
        consequence = "so no GPU can be used." if device is None else f"but runs find {named(device)}."
        return [], [Finding("gpu", "note", f"{error}, {consequence}", "nvidia-smi")]
    if found:
        return found, list(findings(found, versions))
    why = "nvidia-smi is not on the path" if found is None else "nvidia-smi lists none"
    if device is not None and DEVICE_KINDS[device.kind].never_run:
        return [], []  # nvidia-smi does not report GPUs of other makers
    if device is not None:
        return [], [Finding("gpu", "ok", f"Runs measure on {named(device)}; {why}.")]
    text = f"There is no GPU ({why}), so times and memory are measured on the CPU; exact metrics need no GPU."
    return [], [Finding("gpu", "note", text)]


def named(device: Device) -> str:
    """The name of a device's machine, with a remark on quantities that are not measured on it."""
    return device.machine.name + DEVICE_KINDS[device.kind].remark


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
