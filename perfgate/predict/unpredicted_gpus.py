"""A catalogue of AMD's and Apple's GPUs: how much memory they have. What a step takes there is not predicted."""

from collections.abc import Mapping
from dataclasses import dataclass

from perfgate.shared.device_kinds import DEVICE_KINDS


@dataclass(frozen=True)
class UnpredictedGpu:
    """One GPU, or one chip with a GPU, as its maker describes it; nothing here was measured.

    Attributes:
        name: the name in this table, parts joined by hyphens.
        kind: the name of its row in ``perfgate.shared.device_kinds``, which says why nothing is predicted.
        memory_bytes: the GPU's memory. Of a chip that shares its memory with the host it is the most that was announced
            for the chip, and that of both.
        shared: whether the host has the same memory.
        source: address of the maker's page.
    """

    name: str
    kind: str
    memory_bytes: int
    shared: bool
    source: str

    @property
    def why(self) -> str:
        """Why nothing is predicted for it, as a sentence without its full stop."""
        held = f"{self.memory_bytes // 2**30} GiB of memory"
        held = f"up to {held} together with the host" if self.shared else held
        kind = DEVICE_KINDS[self.kind]
        return (
            f"{self.name} has {held} ({self.source}), but neither memory nor time is predicted for it: "
            f"{kind.no_rules}, and its peak rates are not in the table; without --gpu the command tells what a step's "
            "tensors take under CUDA's rules"
        )


ROCM = "https://rocm.docs.amd.com/en/latest/reference/gpu-arch-specs.html"
NEWS = "https://www.apple.com/newsroom"
M1_PRO = f"{NEWS}/2021/10/introducing-m1-pro-and-m1-max-the-most-powerful-chips-apple-has-ever-built/"
M1_ULTRA = f"{NEWS}/2022/03/apple-unveils-m1-ultra-the-worlds-most-powerful-chip-for-a-personal-computer/"
M2_PRO = f"{NEWS}/2023/01/apple-unveils-m2-pro-and-m2-max-next-generation-chips-for-next-level-workflows/"
M2_ULTRA = f"{NEWS}/2023/06/apple-introduces-m2-ultra/"
M3 = f"{NEWS}/2023/10/apple-unveils-m3-m3-pro-and-m3-max-the-most-advanced-chips-for-a-personal-computer/"
M3_ULTRA = f"{NEWS}/2025/03/apple-reveals-m3-ultra-taking-apple-silicon-to-a-new-extreme/"
M4_PRO = f"{NEWS}/2024/10/apple-introduces-m4-pro-and-m4-max/"

# Name and GiB. A program sees each of the two dies of an MI250 or MI250X as a GPU of its own, with half of the memory.
AMD = (
    ("MI355X", 288),
    ("MI350X", 288),
    ("MI325X", 256),
    ("MI300X", 192),
    ("MI250X", 128),
    ("MI250", 128),
    ("MI210", 64),
    ("MI100", 32),
    ("Radeon-AI-PRO-R9700", 32),
    ("Radeon-PRO-W7900", 48),
    ("Radeon-PRO-W7800", 32),
    ("RX-9070-XT", 16),
    ("RX-7900-XTX", 24),
    ("RX-7900-XT", 20),
)
# Name, GiB at most, source.
APPLE = (
    ("M1-Pro", 32, M1_PRO),
    ("M1-Max", 64, M1_PRO),
    ("M1-Ultra", 128, M1_ULTRA),
    ("M2-Pro", 32, M2_PRO),
    ("M2-Max", 96, M2_PRO),
    ("M2-Ultra", 192, M2_ULTRA),
    ("M3", 24, M3),
    ("M3-Pro", 36, M3),
    ("M3-Max", 128, M3),
    ("M3-Ultra", 512, M3_ULTRA),
    ("M4-Pro", 64, M4_PRO),
    ("M4-Max", 128, M4_PRO),
)
UNPREDICTED: Mapping[str, UnpredictedGpu] = {
    gpu.name: gpu
    for gpu in (
        *(UnpredictedGpu(name, "rocm", size * 2**30, False, ROCM) for name, size in AMD),
        # The MI300A is a processor as well, and both parts share one memory.
        UnpredictedGpu("MI300A", "rocm", 128 * 2**30, True, ROCM),
        *(UnpredictedGpu(name, "mps", size * 2**30, True, source) for name, size, source in APPLE),
    )
}
