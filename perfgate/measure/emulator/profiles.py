"""Profiles of the emulated cards: the facts by which torch, its libraries and Triton choose their kernels.

Sources: tables "Technical Specifications per Compute Capability" of NVIDIA's CUDA programming guide for what follows
from the capability; NVIDIA's data sheets and white papers of each card for its multiprocessors, caches, clocks and
power; ``memory_mib`` is the memory that the driver (release 580) reports, ``reserved_mib`` the part of it that CUDA
does not get. They differ by some MiB between releases of the driver.
"""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Profile:
    """One card.

    Attributes:
        name: the driver's name for it.
        capability: the compute capability times ten; 90 is 9.0.
        multiprocessors: the number of multiprocessors.
        memory_mib: the total device memory.
        reserved_mib: the part of it that CUDA does not get.
        l2_bytes: the size of the L2 cache.
        clock_mhz: the highest clock of the multiprocessors.
        memory_clock_mhz: the clock of the memory.
        bus_bits: the width of the memory bus.
        power_w: the power limit as delivered.
    """

    name: str
    capability: int
    multiprocessors: int
    memory_mib: int
    reserved_mib: int
    l2_bytes: int
    clock_mhz: int
    memory_clock_mhz: int
    bus_bits: int
    power_w: int

    @property
    def described(self) -> str:
        """The card in the form that the emulated driver reads, for ``EMU_PROFILE``."""
        return ";".join(f"{key}={value}" for key, value in (asdict(self) | LIMITS[self.capability]).items())


KIB, MIB = 1 << 10, 1 << 20
# By capability: a multiprocessor's shared memory, its largest numbers of threads and blocks, and its 32-bit registers.
LIMITS = {
    75: {"shared_bytes": 64 * KIB, "threads": 1024, "blocks": 16, "registers": 65536},
    80: {"shared_bytes": 164 * KIB, "threads": 2048, "blocks": 32, "registers": 65536},
    89: {"shared_bytes": 100 * KIB, "threads": 1536, "blocks": 24, "registers": 65536},
    90: {"shared_bytes": 228 * KIB, "threads": 2048, "blocks": 32, "registers": 65536},
    100: {"shared_bytes": 228 * KIB, "threads": 2048, "blocks": 32, "registers": 65536},
}
PROFILES = {
    "h100-sxm-80gb": Profile("NVIDIA H100 80GB HBM3", 90, 132, 81559, 470, 50 * MIB, 1980, 2619, 5120, 700),
    "h100-pcie-80gb": Profile("NVIDIA H100 PCIe", 90, 114, 81559, 470, 50 * MIB, 1755, 1593, 5120, 350),
    "h200-141gb": Profile("NVIDIA H200", 90, 132, 143771, 600, 60 * MIB, 1980, 3201, 6144, 700),
    "a100-40gb": Profile("NVIDIA A100-SXM4-40GB", 80, 108, 40960, 424, 40 * MIB, 1410, 1215, 5120, 400),
    "a100-80gb": Profile("NVIDIA A100-SXM4-80GB", 80, 108, 81920, 767, 40 * MIB, 1410, 1593, 5120, 400),
    "l4-24gb": Profile("NVIDIA L4", 89, 58, 23034, 468, 48 * MIB, 2040, 6251, 192, 72),
    "l40s-48gb": Profile("NVIDIA L40S", 89, 142, 46068, 549, 96 * MIB, 2520, 9001, 384, 350),
    "rtx-4090-24gb": Profile("NVIDIA GeForce RTX 4090", 89, 128, 24564, 354, 72 * MIB, 2520, 10501, 384, 450),
    "t4-16gb": Profile("Tesla T4", 75, 40, 15360, 446, 4 * MIB, 1590, 5001, 256, 70),
    "b200-180gb": Profile("NVIDIA B200", 100, 148, 183359, 729, 126 * MIB, 1965, 3996, 8192, 1000),
}
STANDARD = "h100-sxm-80gb"
