"""Finds NVIDIA's GPUs and asks for their status through the driver's management library (NVML), without using CUDA."""

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from perfgate.measure.devices.base import Device, Status, no_variables, of_hosts
from perfgate.measure.devices.visible import cores_of, visible
from perfgate.records.gpu import GpuIdentity
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError

KIND = DEVICE_KINDS["cuda"]
RESTED_S = 1.0  # the energy counter is updated every 100 ms
EMULATED = "GPU-e0000000-0000-4000-8000-"  # the beginning of the UUIDs in perfgate/measure/emulator/source/devices.c


class Reader(Protocol):
    """A way to ask the driver.

    Attributes:
        look_s: seconds to wait between two questions, because asking takes time.
    """

    look_s: float

    def gpus(self) -> list[GpuIdentity]:
        """All GPUs and slices, in the order of the PCI bus."""

    def status(self, uuid: str) -> Status:
        """The driver's report about a GPU now."""


class CudaHandle:
    """One GPU, or one slice of one.

    Args:
        gpu: its identity.
        reader: the reader of its status.
        cores: the processors that its actors stay on.
    """

    kind = KIND.name
    bursts = KIND.bursts
    environment = staticmethod(no_variables)

    def __init__(self, gpu: GpuIdentity, reader: Reader, cores: Sequence[int] | None) -> None:
        self.uuid = gpu.uuid
        self.machine = of_hosts(gpu.machine(self.kind))
        self.cores = cores
        self.order: Mapping[str, Any] = {"kind": self.kind, "uuid": gpu.uuid}
        self.look_s = reader.look_s
        self.peers: Sequence[Device] = ()
        self._reader = reader

    def status(self) -> Status:
        """The driver's report about this GPU now."""
        return self._reader.status(self.uuid)

    def rested(self) -> Status | None:
        """The report after a pause in which the energy counter moves ten times; ``None`` without such a counter."""
        if self.status().energy_j is None:
            return None
        time.sleep(RESTED_S)
        return self.status()


def cuda_devices(required: bool, argument: str = "") -> list[CudaHandle]:
    """The GPUs that are visible to this process.

    Args:
        required: whether to raise an exception if the driver cannot be asked.

    Raises:
        UserError: ``CUDA_VISIBLE_DEVICES`` is ambiguous; or a GPU is required, and the driver does not answer.
    """
    if argument:
        raise UserError(f"--perf-device cuda:{argument}: name the GPU by {KIND.visible}={argument}, and use cuda")
    reader = find_reader()
    if reader is None:
        if required:
            raise UserError(
                "--perf-device cuda: neither NVML nor nvidia-smi answers; "
                "install the driver, and pip install 'perfgate[gpu]'"
            )
        return []
    try:
        gpus = visible(reader.gpus(), os.environ)
    except RuntimeError as error:
        if required:
            raise UserError(f"--perf-device cuda: the driver does not answer: {error}") from None
        return []
    if any(gpu.uuid.startswith(EMULATED) for gpu in gpus):
        raise UserError("this process sees an emulated GPU, whose numbers are no card's: use --perf-device emulated")
    return [CudaHandle(gpu, reader, cores_of(position, len(gpus))) for position, gpu in enumerate(gpus)]


@cache
def find_reader() -> Reader | None:
    """The Python binding of NVML, or else ``nvidia-smi``; ``None`` if there is no driver."""
    try:
        from perfgate.measure.devices.nvml import Nvml

        return Nvml()
    except (ImportError, AttributeError, OSError, RuntimeError):
        pass  # the binding is not installed or too old, or there is no driver
    if not shutil.which("nvidia-smi"):
        return None
    from perfgate.measure.devices.smi import Smi

    try:
        return Smi()
    except (OSError, RuntimeError):
        return None
