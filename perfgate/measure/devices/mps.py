"""Finds the GPU of an Apple chip through ``sysctl`` and ``system_profiler``, without using Metal.

It was written from documentation (the manual pages of both commands, and what ``system_profiler SPDisplaysDataType
-json`` prints) and has never run on macOS. No command that every user may run reports the GPU's users, clock or
energy, so Perfgate does not report them either.
"""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from perfgate.measure.devices.base import Device, no_variables, of_hosts
from perfgate.records.gpu import GpuIdentity
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json

KIND = DEVICE_KINDS["mps"]
TIMEOUT_S = 30
UUID = "MPS-0"  # a Mac has one such GPU, and macOS gives it no identifier


class MpsHandle:
    """The GPU of this Mac's chip.

    Args:
        gpu: its identity.
    """

    kind = KIND.name
    uuid = UUID
    bursts = KIND.bursts
    cores: Sequence[int] | None = None  # macOS cannot bind a process to processors
    order: Mapping[str, Any] = {"kind": kind, "uuid": UUID}
    look_s = 0.0
    environment = staticmethod(no_variables)

    def __init__(self, gpu: GpuIdentity) -> None:
        self.machine = of_hosts(gpu.machine(self.kind))
        self.peers: Sequence[Device] = ()

    def status(self) -> None:
        """``None``: macOS reports clocks, power and users of the GPU only to root (``powermetrics``)."""

    def rested(self) -> None:
        """``None``: there is no energy counter."""


def mps_devices(required: bool, argument: str = "") -> list[MpsHandle]:
    """The GPU of this Mac's chip.

    Args:
        required: whether to raise an exception if there is none.

    Raises:
        UserError: it is required, and this is no Mac with an Apple chip, or the commands do not tell about it.
    """
    if argument:
        raise UserError(f"--perf-device mps:{argument}: a Mac has one such GPU; use --perf-device mps")
    try:
        return [MpsHandle(this_gpu())]
    except RuntimeError as error:
        if required:
            raise UserError(f"--perf-device mps: {error}; use --perf-device cpu") from None
        return []


def this_gpu() -> GpuIdentity:
    """The identity of the GPU: the chip's name with its number of GPU cores, and the memory that it shares.

    Raises:
        RuntimeError: there is no such GPU, or a command's output differs from its documentation.
    """
    if platform.system() != KIND.system:
        raise RuntimeError(f"Apple's GPUs are on macOS, and this is {platform.system()}")
    try:
        told = load_json(ask("system_profiler", "SPDisplaysDataType", "-json"))
        rows = told["SPDisplaysDataType"]
        names = [str(row.get("sppci_model", "")) for row in rows]
        cores = [str(row.get("sppci_cores", "")) for row in rows]
    except (ValueError, LookupError, TypeError, AttributeError):
        raise RuntimeError("system_profiler lists no GPUs under SPDisplaysDataType") from None
    of_apple = [place for place, name in enumerate(names) if name.startswith("Apple ")]
    if len(of_apple) != 1:
        raise RuntimeError(
            f"one GPU of an Apple chip is needed, and system_profiler lists {', '.join(names) or 'none'}"
        )
    (place,) = of_apple
    if not cores[place].isdigit():
        raise RuntimeError(f"system_profiler tells no number of GPU cores of {names[place]}")
    memory = ask("sysctl", "-n", "hw.memsize").strip()
    if not memory.isdigit():
        raise RuntimeError(f"sysctl tells no memory of this Mac ({memory})")
    return GpuIdentity(UUID, 0, f"{names[place]} {cores[place]}-core GPU", int(memory))


def ask(*command: str) -> str:
    """Run a command, and return its output.

    Raises:
        RuntimeError: it fails, or takes too long.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=TIMEOUT_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise RuntimeError(f"{command[0]} fails ({error})") from None
    return done.stdout
