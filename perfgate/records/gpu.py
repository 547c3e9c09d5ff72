"""The identity of a GPU: the facts that timings depend on."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from perfgate.records.machine import Machine, slug, this_machine

MIG_PROFILE = re.compile(r"MIG (\S+)")


@dataclass(frozen=True)
class GpuIdentity:
    """A GPU, or a slice (MIG) of one.

    Attributes:
        uuid: the UUID of this very GPU; times of GPUs with different UUIDs can be compared.
        index: its number in the order of the PCI bus, which all slices of one GPU share.
        name: the driver's name with the variant: an H100 NVL is not an H100 PCIe.
        memory_bytes: total memory.
        power_limit_w: the enforced power limit in W; ``None`` if the driver does not report it.
        mig_profile: the profile of a slice, such as ``1g.10gb``; empty for a whole GPU.
        ecc: whether the memory has error correction; ``None`` if the driver does not report it.
        capability: CUDA compute capability, major and minor; ``None`` if the driver does not report it.
    """

    uuid: str
    index: int
    name: str
    memory_bytes: int
    power_limit_w: int | None = None
    mig_profile: str | None = None
    ecc: bool | None = None
    capability: tuple[int, int] | None = None

    def machine(self, kind: str) -> Machine:
        """The machine whose times can be compared with those of this GPU: its name, and everything that affects speed.

        Args:
            kind: the kind of device.
        """
        host = this_machine()
        parts = [self.name, f"{round(self.memory_bytes / 2**30)}gib"]
        if self.power_limit_w is not None:
            parts.append(f"{self.power_limit_w}w")
        if self.mig_profile and self.mig_profile not in self.name:
            parts.append(f"mig {self.mig_profile}")
        if self.ecc is not None:
            parts.append("ecc" if self.ecc else "no-ecc")
        facts = {key: value for key, value in asdict(self).items() if key not in ("uuid", "index")}
        return replace(host, name=slug(" ".join(parts)), device=kind, gpu=facts)


def gpu_from(facts: Mapping[str, Any]) -> GpuIdentity:
    """Make the identity of a GPU from facts of its driver; the last four attributes may be missing."""
    profile = facts.get("mig_profile") or next(iter(MIG_PROFILE.findall(facts["name"])), None)
    power = facts.get("power_limit_w")
    return GpuIdentity(
        uuid=facts["uuid"],
        index=int(facts["index"]),
        name=facts["name"],
        memory_bytes=int(facts["memory_bytes"]),
        power_limit_w=None if power is None else round(power),
        mig_profile=profile,
        ecc=facts.get("ecc"),
        capability=facts.get("capability"),
    )
