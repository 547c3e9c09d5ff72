"""A catalogue of NVIDIA GPUs: memory, bandwidth and peak rates from their data sheets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from perfgate.predict.unpredicted_gpus import UNPREDICTED
from perfgate.shared.errors import UserError


@dataclass(frozen=True)
class GpuSpec:
    """One GPU, as its maker describes it; nothing here was measured.

    Attributes:
        name: the name in this table, parts joined by hyphens: family, form, memory.
        capability: CUDA compute capability, (major, minor).
        memory_bytes: the number of GB on the data sheet times 2**30. CUDA reports a little less: one to three percent
            less on most cards, and six to nine percent less on GDDR6 cards, which store ECC in the same memory.
        bandwidth_bytes_per_s: peak of the device memory, decimal (1 TB/s is 1e12).
        flops_per_s: peak floating-point operations per second of a matrix product. A multiply-add counts as two,
            operands are dense (data sheets print twice as much "with sparsity"), and sums are kept in float32, as torch
            does. Keys:

            - ``float32``: on the CUDA cores, which is what torch uses until TF32 is allowed;
            - ``tf32``: float32 operands rounded to TF32 on the tensor cores;
            - ``bfloat16``, ``float16``, ``float8``: on the tensor cores.

            A key is absent if the hardware has no unit for it.
        source: address of the data sheet or white paper.
    """

    name: str
    capability: tuple[int, int]
    memory_bytes: int
    bandwidth_bytes_per_s: float
    flops_per_s: Mapping[str, float] = field(hash=False)  # a dict has no hash, and the name identifies the GPU
    source: str


H100 = "https://www.nvidia.com/en-us/data-center/h100/"
HOPPER = "https://resources.nvidia.com/en-us-tensor-core/gtc22-whitepaper-hopper"
H200 = "https://www.nvidia.com/en-us/data-center/h200/"
BLACKWELL = "https://resources.nvidia.com/en-us-blackwell-architecture/datasheet"
GH200 = "https://www.nvidia.com/en-us/data-center/grace-hopper-superchip/"
FILES = "https://www.nvidia.com/content/dam/en-zz/Solutions"
A100 = f"{FILES}/Data-Center/a100/pdf/nvidia-a100-datasheet-us-nvidia-1758950-r4-web.pdf"
A10 = f"{FILES}/Data-Center/a10/pdf/datasheet-new/nvidia-a10-datasheet.pdf"
A10G = "https://d1.awsstatic.com/product-marketing/ec2/NVIDIA_AWS_A10G_DataSheet_FINAL_02_17_2022.pdf"
A30 = f"{FILES}/data-center/products/a30-gpu/pdf/a30-datasheet.pdf"
A40 = "https://images.nvidia.com/content/Solutions/data-center/a40/nvidia-a40-datasheet.pdf"
L4 = "https://nvdam.widen.net/s/rvq98gbwsw/l4-datasheet-2595652"
L40S = "https://resources.nvidia.com/en-us-l40s/l40s-datasheet-28413"
T4 = f"{FILES}/Data-Center/tesla-t4/t4-tensor-core-product-brief.pdf"
V100 = "https://images.nvidia.com/content/technologies/volta/pdf/volta-v100-datasheet-update-us-1165301-r5.pdf"
GA102 = "https://www.nvidia.com/content/PDF/nvidia-ampere-ga-102-gpu-architecture-whitepaper-v2.1.pdf"
ADA = "https://images.nvidia.com/aem-dam/Solutions/Data-Center/l4/nvidia-ada-gpu-architecture-whitepaper-v2.1.pdf"
GB202 = "https://images.nvidia.com/aem-dam/Solutions/geforce/blackwell/nvidia-rtx-blackwell-gpu-architecture.pdf"
RTX_PRO = f"{FILES}/design-visualization/quadro-product-literature/NVIDIA-RTX-Blackwell-PRO-GPU-Architecture-v1.0.pdf"

DTYPES = ("float32", "tf32", "bfloat16", "float16", "float8")

# Name, capability, GB, GB/s, TFLOP/s by DTYPES (None: no such unit), source.
ROWS: tuple[tuple[str, tuple[int, int], int, float, tuple[float | None, ...], str], ...] = (
    ("H100-SXM-80GB", (9, 0), 80, 3350, (67, 494.5, 989.5, 989.5, 1979), H100),
    # From the white paper, because the product page rounds this bandwidth to 2 TB/s and no longer lists the card.
    ("H100-PCIe-80GB", (9, 0), 80, 2039, (51.2, 378, 756, 756, 1513), HOPPER),
    ("H100-NVL-94GB", (9, 0), 94, 3900, (60, 417.5, 835.5, 835.5, 1670.5), H100),
    ("H200", (9, 0), 141, 4800, (67, 494.5, 989.5, 989.5, 1979), H200),
    # One of the eight in an HGX B200; the GPU in a GB200 has a higher power limit and other figures.
    ("B200", (10, 0), 180, 7700, (75, 1125, 2250, 2250, 4500), BLACKWELL),
    ("GH200-96GB", (9, 0), 96, 4000, (67, 494.5, 989.5, 989.5, 1979), GH200),
    ("A100-SXM-80GB", (8, 0), 80, 2039, (19.5, 156, 312, 312, None), A100),
    ("A100-SXM-40GB", (8, 0), 40, 1555, (19.5, 156, 312, 312, None), A100),
    ("A100-PCIe-80GB", (8, 0), 80, 1935, (19.5, 156, 312, 312, None), A100),
    ("A100-PCIe-40GB", (8, 0), 40, 1555, (19.5, 156, 312, 312, None), A100),
    ("A10", (8, 6), 24, 600, (31.2, 62.5, 125, 125, None), A10),
    # A different card from the A10: it has more CUDA cores, and tensor cores as slow as those of a GeForce card.
    ("A10G", (8, 6), 24, 600, (35, 35, 70, 70, None), A10G),
    ("A30", (8, 0), 24, 933, (10.3, 82, 165, 165, None), A30),
    ("A40", (8, 6), 48, 696, (37.4, 74.8, 149.7, 149.7, None), A40),
    ("L4", (8, 9), 24, 300, (30.3, 60, 121, 121, 242.5), L4),
    ("L40S", (8, 9), 48, 864, (91.6, 183, 362, 362, 733), L40S),
    # A bus of 256 bits at 10 Gbit/s gives 320 GB/s; a later edition of the data sheet prints 300 GB/s.
    ("T4", (7, 5), 16, 320, (8.1, None, None, 65, None), T4),
    # The rates of the SXM2 form; the PCIe card reaches 14 (float32) and 112 (float16) TFLOP/s.
    ("V100-16GB", (7, 0), 16, 900, (15.7, None, None, 125, None), V100),
    ("V100-32GB", (7, 0), 32, 900, (15.7, None, None, 125, None), V100),
    # GeForce tensor cores run at half their rate when they sum in float32, and these rows give that half.
    ("RTX-3090", (8, 6), 24, 936, (35.6, 35.6, 71, 71, None), GA102),
    ("RTX-4090", (8, 9), 24, 1008, (82.6, 82.6, 165.2, 165.2, 330.3), ADA),
    ("RTX-5090", (12, 0), 32, 1792, (104.8, 104.8, 209.5, 209.5, 419), GB202),
    ("RTX-A6000", (8, 6), 48, 768, (38.7, 77.4, 154.8, 154.8, None), GA102),
    ("RTX-6000-Ada", (8, 9), 48, 960, (91.1, 182.1, 364.2, 364.2, 728.5), RTX_PRO),
)

GPUS: Mapping[str, GpuSpec] = {
    name: GpuSpec(
        name=name,
        capability=capability,
        memory_bytes=gigabytes * 2**30,
        bandwidth_bytes_per_s=bandwidth * 1e9,
        flops_per_s={dtype: rate * 1e12 for dtype, rate in zip(DTYPES, rates, strict=True) if rate is not None},
        source=source,
    )
    for name, capability, gigabytes, bandwidth, rates, source in ROWS
}


def find_gpu(name: str) -> GpuSpec:
    """Find a GPU by its name.

    Case, spaces, underscores and hyphens make no difference. Parts at the end may be left off if only one GPU begins
    with the rest: ``H200``, ``a100 sxm 80gb``, ``rtx4090`` and ``h100 pcie`` are all found.

    Raises:
        UserError: no GPU has that name, or several begin with it, or it is one for which nothing is predicted.
    """
    key = _key(name)
    if other := next((gpu for known, gpu in UNPREDICTED.items() if _key(known) == key), None):
        raise UserError(other.why)
    keys = {_key(known): known for known in GPUS}
    if key in keys:
        return GPUS[keys[key]]
    candidates = [known for known in GPUS if key in _beginnings(known)]
    if len(candidates) == 1:
        return GPUS[candidates[0]]
    if candidates:
        raise UserError(f"GPU {name!r} is ambiguous; it can be {', '.join(candidates)}")
    near = [keys[match] for match in get_close_matches(key, keys)]
    hint = f"near it are {', '.join(near)}" if near else f"known are {', '.join(GPUS)}"
    raise UserError(f"GPU {name!r} is not known; {hint}")


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _beginnings(name: str) -> set[str]:
    # Only whole parts may be left off. Otherwise L40, a slower card that is not listed, would be taken for L40S.
    parts = name.split("-")
    return {_key("".join(parts[:count])) for count in range(1, len(parts))}
