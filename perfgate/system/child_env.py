"""The environment variables that child processes get."""

import os
from collections.abc import Sequence

from perfgate.shared.device_kinds import HIDDEN

QUIET = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_UPDATE_DOWNLOAD_COUNTS": "0",
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "0",  # NVIDIA's containers set it to 1, which would multiply fp32 in TF32
    **HIDDEN,
}


# A step that returns its memory to the kernel pays for fresh pages in the next step, and their cost depends on which
# pages it gets. This caused most of the spread between duets (benchmarks/gate/pages.py). So actors keep the memory that
# they free, as a GPU's allocator does, and use huge pages if the system has them. Only glibc reads these variables.
PAGES = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40), "MALLOC_TOP_PAD_": str(64 * 2**20)}


HUGE_PAGES = "glibc.malloc.hugetlb=1"


def keeping_pages() -> dict[str, str]:
    """The variables that make an actor's allocator keep its pages; variables that the user has set stay as they are."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    huge = tunables if "glibc.malloc.hugetlb" in tunables else ":".join(filter(None, [tunables, HUGE_PAGES]))
    return {**PAGES, "GLIBC_TUNABLES": huge} | {name: os.environ[name] for name in PAGES if name in os.environ}


def on_path(path: Sequence[str], after: Sequence[str] = ()) -> dict[str, str]:
    """The variables that tell Python where to find code.

    Args:
        path: folders that come first, the working directory among them if it is wanted; empty for this Python itself,
            which keeps its own search path. The caller's ``PYTHONPATH`` is meant for this Python alone: another
            interpreter must find its own packages first, and a revision its own files.
        after: folders that come after all others; the actor adds them (``perfgate.actor.process``).
    """
    if not path:
        return {"PERFGATE_PATH": os.pathsep.join(after)}
    return {
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONSAFEPATH": "1",
        "PERFGATE_PATH": os.pathsep.join(after),
    }
