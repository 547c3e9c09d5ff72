"""What settings need of the machine: a package, a GPU, a compiler, a folder. A case that lacks it is skipped at run
time, with the reason.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from perfgate.errors import Missing
from perfgate.workload import Json, Workload

HOST = ("cpu", "none")


@dataclass(frozen=True)
class Need:
    """What one setting needs.

    Attributes:
        setting: its name.
        values: those that need it; empty for all but the default.
        package: that must be importable, as ``import`` names it.
        extra: of Perfgate, which brings the package; else ``pip`` is told ``package``.
        gpu: whether it runs on a CUDA device alone.
        compiler: whether a C++ compiler must be here, as torch.compile calls one.
        folder: whether the setting, ``LAYER=FOLDER:CLASS``, names a folder that must be here.
        dry: whether a dry run needs it too.
    """

    setting: str
    values: tuple[Json, ...] = ()
    package: str = ""
    extra: str = ""
    gpu: bool = False
    compiler: bool = False
    folder: bool = False
    dry: bool = True

    def applies(self, workload: Workload) -> bool:
        """Whether a workload has the setting; one at its default is not among its parameters."""
        return self.setting in workload.params and (not self.values or workload.params[self.setting] in self.values)


NEEDS: tuple[Need, ...] = (
    Need("lora_rank", package="peft", extra="peft"),
    Need("precision", ("fp16-amp",), gpu=True),
    Need("cache", ("offloaded", "offloaded_static"), gpu=True),
    Need("cache", ("quantized-quanto",), package="optimum.quanto", extra="quanto", dry=False),
    Need("compile", compiler=True, dry=False),
    Need("compile_decode", ("default", "reduce-overhead", "max-autotune"), compiler=True, dry=False),
    Need("kernels", package="kernels", extra="kernels", gpu=True, folder=True, dry=False),
)


def check_needs(workload: Workload, device: str) -> None:
    """Skip a case that this machine cannot run.

    Args:
        workload: with its settings.
        device: kind of the device, or ``none`` for the dry run alone.

    Raises:
        Missing: with the reason, and the command that brings what is missing where there is one.
    """
    for reason in missing(workload, device):
        raise Missing(reason)


def missing(workload: Workload, device: str) -> Iterator[str]:
    """What is not here, a sentence each."""
    for need in NEEDS:
        if not need.applies(workload) or (device == "none" and not need.dry):
            continue
        setting = f"{need.setting}={workload.params[need.setting]!r}"
        if need.gpu and device == "cpu":
            yield f"{setting} needs a GPU; run it on a machine that has one, or with --perf-device none"
        if need.compiler and shutil.which(compiler := os.environ.get("CXX", "g++")) is None:
            yield f"{setting} needs a C++ compiler, and {compiler} is not here; install it: apt-get install g++"
        if need.folder and not (folder := folder_of(workload.params[need.setting])).is_dir():
            yield (
                f"{setting} needs the folder {folder}, which is not here; "
                f"fetch it: hf download kernels-community/{folder.name} --local-dir {folder}"
            )
        if need.package and not installed(need.package):
            what = f"'perfgate[{need.extra}]'" if need.extra else need.package
            yield (
                f"{setting} needs the package {need.package}, which is not installed; "
                f"install it: {sys.executable} -m pip install {what}"
            )


def installed(package: str) -> bool:
    """Whether a package, which may lie within another, could be imported."""
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:
        return False


def folder_of(kernel: str) -> Path:
    """The folder in ``LAYER=FOLDER:CLASS``."""
    return Path(kernel.partition("=")[2].rpartition(":")[0])
