"""What settings need of the machine: a package, a GPU, a compiler, a folder. A case that lacks it is skipped at run
time, with the reason.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from packaging.version import Version

from perfgate.shared.errors import Unavailable
from perfgate.shared.workload import Json, Workload
from perfgate.workloads.programs import TRAINING

FLASH_ATTENTION_3 = "'git+https://github.com/Dao-AILab/flash-attention#subdirectory=hopper'"


@dataclass(frozen=True)
class Need:
    """What one setting needs.

    Attributes:
        setting: its name.
        values: those that need it; empty for all but the default.
        package: that must be importable, as ``import`` names it.
        extra: of Perfgate, which brings the package.
        pip: what ``pip`` is told where no extra brings it; else ``package``.
        since: the version of the package from which on it can.
        gpu: whether it runs on a CUDA device alone.
        compiler: whether a C++ compiler must be here, as torch.compile calls one.
        folder: whether the setting, ``LAYER=FOLDER:CLASS``, names a folder that must be here.
        dry: whether a dry run needs it too.
        programs: ids of the programs that need it; empty for all.
    """

    setting: str
    values: tuple[Json, ...] = ()
    package: str = ""
    extra: str = ""
    pip: str = ""
    since: str = ""
    gpu: bool = False
    compiler: bool = False
    folder: bool = False
    dry: bool = True
    programs: tuple[str, ...] = ()

    def applies(self, workload: Workload) -> bool:
        """Whether a workload has the setting; one at its default is not among its parameters."""
        if self.programs and workload.id not in self.programs:
            return False
        return self.setting in workload.params and (not self.values or workload.params[self.setting] in self.values)

    @property
    def here(self) -> bool:
        """Whether the package can be imported, in the version that it takes."""
        try:
            found = find_spec(self.package) is not None
        except ModuleNotFoundError:  # what it is a part of
            return False
        return found and (not self.since or Version(version(self.package)) >= Version(self.since))


BNB = ("llm-int8", "nf4")
TORCHAO = ("torchao-int8", "torchao-int8-dynamic", "torchao-float8")
TORCHAO_GPU = ("torchao-float8-dynamic", "torchao-int4", "torchao-mxfp4", "torchao-nvfp4")
NEEDS: tuple[Need, ...] = (
    Need("lora_rank", package="peft", extra="peft"),
    Need("pin_memory", gpu=True),
    Need("precision", ("tf32", "fp16-amp"), gpu=True),
    # Some CPUs take seconds for a product of a small model in fp8 (docs/verified/techniques.md).
    Need("precision", ("fp8-amp",), package="torchao", extra="torchao", gpu=True),
    Need(
        "activation_checkpointing",
        ("every_2_layers", "every_4_layers", "offload"),
        package="transformers",
        since="5.23",
    ),
    # Its copies lie in pinned memory, which needs a device to be pinned for.
    Need("activation_checkpointing", ("offload",), gpu=True),
    Need("attention", ("sdpa-efficient",), gpu=True),
    # On a CPU it has no backward pass.
    Need("attention", ("flex_attention",), gpu=True, programs=TRAINING),
    Need("attention", ("flash_attention_2",), package="flash_attn", pip="flash-attn", gpu=True),
    Need("attention", ("flash_attention_3",), package="flash_attn_interface", pip=FLASH_ATTENTION_3, gpu=True),
    Need("attention", ("flash_attention_4",), package="flash_attn.cute", pip="flash-attn-4", gpu=True),
    Need("optimizer", ("adamw_torch_8bit",), package="torchao", extra="torchao"),
    Need("optimizer", ("adamw_bnb_8bit", "lion_8bit"), package="bitsandbytes", extra="bitsandbytes"),
    Need("optimizer", ("paged_adamw_8bit",), package="bitsandbytes", extra="bitsandbytes", gpu=True),
    Need("optimizer", ("galore_adamw",), package="galore_torch", extra="optimizers"),
    Need("optimizer", ("apollo_adamw",), package="apollo_torch", extra="optimizers"),
    Need("optimizer", ("lomo",), package="lomo_optim", extra="optimizers"),
    Need("optimizer", ("adamw_cpu_offload",), package="torchao", extra="torchao", gpu=True),
    Need("liger", package="liger_kernel", extra="liger", gpu=True),
    Need("activation_offload", gpu=True),
    Need("allocator", gpu=True),
    Need("cache", ("offloaded", "offloaded_static"), gpu=True),
    Need("cache", ("quantized-quanto",), package="optimum.quanto", extra="quanto", dry=False),
    Need("compile", compiler=True, dry=False),
    Need("compile_decode", ("default", "reduce-overhead", "max-autotune"), compiler=True, dry=False),
    Need("kernels", package="kernels", extra="kernels", gpu=True, folder=True, dry=False),
    Need("quantization", BNB, package="bitsandbytes", extra="bitsandbytes", dry=False),
    Need("quantization", TORCHAO, package="torchao", extra="torchao", dry=False),
    # The later ones need besides a GPU of some compute capability, which the actor finds out.
    Need("quantization", TORCHAO_GPU, package="torchao", extra="torchao", gpu=True, dry=False),
    Need("asynchronous", gpu=True),
    # Shards in pinned memory, accelerate's meshes, and the ring of attention are for accelerators alone.
    Need("strategy", ("fsdp-offload", "tp", "cp"), gpu=True),
)


def sees_device_at_import(workload: Workload) -> str:
    """The package of a workload that looks for the device when it is imported; empty where it has none.

    A fork server imports while no device is visible, and peft imports this package as soon as it is installed.
    """
    packages = {need.package for need in NEEDS if need.applies(workload)}
    return "bitsandbytes" if "bitsandbytes" in packages else ""


def check_needs(workload: Workload, device: str, room: int = 1) -> None:
    """Skip a case that this machine cannot run.

    Args:
        workload: with its settings.
        device: kind of the device, or ``none`` for the dry run alone.
        room: how many ranks of a launch can have a device of their own, or on a CPU a core.

    Raises:
        Missing: with the reason, and the command that brings what is missing where there is one.
    """
    ranks = workload.params.get("ranks", 1)
    if device != "none" and ranks > room:
        what = "core" if device == "cpu" else "GPU"
        raise Unavailable(
            f"ranks={ranks} needs {ranks} {what}s, one each, and there {'is' if room == 1 else 'are'} {room}: "
            f"two ranks on one {what} only take turns; run it on a machine with {ranks}, or with fewer ranks"
        )
    for reason in missing(workload, device):
        raise Unavailable(reason)


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
        if need.package and not need.here:
            asked = f"'{need.package}>={need.since}'" if need.since else need.pip or need.package
            what = f"'perfgate[{need.extra}]'" if need.extra else asked
            least = f" {need.since} or newer" if need.since else ""
            yield (
                f"{setting} needs the package {need.package}{least}, which is not installed; "
                f"install it: {sys.executable} -m pip install {what}"
            )


def folder_of(kernel: str) -> Path:
    """The folder in ``LAYER=FOLDER:CLASS``."""
    return Path(kernel.partition("=")[2].rpartition(":")[0])
