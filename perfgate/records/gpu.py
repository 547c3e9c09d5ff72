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
        uuid: which one it is; no part of the identity of timings.
        index: its ordinal in the order of the PCI bus, which slices of one GPU share.
        name: with the variant: an H100 NVL is not an H100 PCIe.
        memory_bytes: in all.
        power_limit_w: enforced; ``None`` where it is not told.
        mig_profile: of a slice, like ``1g.10gb``.
        ecc: whether memory is protected; ``None`` where it is not told.
    """

    uuid: str
    index: int
    name: str
    memory_bytes: int
    power_limit_w: int | None = None
    mig_profile: str | None = None
    ecc: bool | None = None

    def machine(self, kind: str) -> Machine:
        """The identity under which timings on it may be compared: the driver's name for it, and what changes its speed.

        Args:
            kind: of device.
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
    """A GPU from what its driver tells; ``power_limit_w``, ``mig_profile`` and ``ecc`` may be missing."""
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
    )
