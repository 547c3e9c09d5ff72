"""AMD's GPUs under ROCm: torch's CUDA interface over HIP. It was written from documentation and has never run.

torch answers for HIP under CUDA's names (https://docs.pytorch.org/docs/stable/notes/hip.html), so this is the CUDA
device with what the kind's row says. Whether the profiler counts a copy as a copy is not known, as HIP does some copies
by kernels.
"""

import torch

from perfgate.actor.devices.cuda import Cuda


class Rocm(Cuda):
    """The only device that is visible to this process or, with several ranks, this rank's one of the visible devices.

    Raises:
        RuntimeError: torch was not built for ROCm, or this process cannot use the device.
    """

    name = "rocm"

    def __init__(self, threads: int, position: int = 0) -> None:
        if not torch.version.hip:
            raise RuntimeError(f"torch {torch.__version__} was built without ROCm, which --perf-device rocm needs")
        super().__init__(threads, position)
