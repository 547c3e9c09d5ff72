"""The GPUs that this process may use, and the processors for each."""

import os
from collections.abc import Mapping, Sequence

from perfgate.records.gpu import GpuIdentity
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import whole

VISIBLE = DEVICE_KINDS["cuda"].visible
MIN_CORES = 4


def visible(gpus: Sequence[GpuIdentity], environment: Mapping[str, str]) -> list[GpuIdentity]:
    """The GPUs that ``CUDA_VISIBLE_DEVICES`` names, in its order; all GPUs if it is not set.

    The variable is read as the driver reads it (https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html):
    it has ordinals or beginnings of UUIDs, and ends at the first entry that names nothing.

    Args:
        gpus: all GPUs, in the order of the PCI bus; a divided GPU (MIG) is replaced by its slices.
        environment: the environment variables of this process.

    Raises:
        UserError: the variable has ordinals and their order is unknown, because the driver counts the fastest GPU
            first.
    """
    named = environment.get(VISIBLE)
    if named is None:
        return list(gpus)
    chosen: list[GpuIdentity] = []
    for entry in map(str.strip, named.split(",")):
        number = whole(entry)
        if number is not None:
            check_order(gpus, environment, named)
            found = [gpu for gpu in gpus if gpu.index == number]
        else:
            found = [gpu for gpu in gpus if entry.startswith(("GPU-", "MIG-")) and gpu.uuid.startswith(entry)]
            found = found if len(found) == 1 else []
        if not found:
            break
        chosen += [gpu for gpu in found if gpu not in chosen]
    return chosen


def check_order(gpus: Sequence[GpuIdentity], environment: Mapping[str, str], named: str) -> None:
    """Refuse ordinals if different GPUs may be numbered by their speed."""
    if len({gpu.name for gpu in gpus}) > 1 and environment.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        raise UserError(
            f"{VISIBLE} is {named!r}, and which GPU has which number cannot be told where they differ; "
            "set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name the GPUs by UUID (nvidia-smi -L)"
        )


def cores_of(position: int, count: int) -> list[int] | None:
    """The processors for one of several GPUs: an equal share, but at least four if the machine has four.

    Args:
        position: the position of the GPU among the visible ones.
        count: the number of visible GPUs.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    size = min(len(cores), max(MIN_CORES, len(cores) // count))
    begin = position * size % len(cores)
    return sorted((cores + cores)[begin : begin + size])
