"""What settings need of the machine: a package, a GPU. A case that lacks it is skipped at run time, with the reason."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

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
        dry: whether a dry run needs it too.
    """

    setting: str
    values: tuple[Json, ...] = ()
    package: str = ""
    extra: str = ""
    gpu: bool = False
    dry: bool = True

    def applies(self, workload: Workload) -> bool:
        """Whether a workload has the setting; one at its default is not among its parameters."""
        return self.setting in workload.params and (not self.values or workload.params[self.setting] in self.values)


NEEDS: tuple[Need, ...] = (
    Need("lora_rank", package="peft", extra="peft"),
    Need("precision", ("fp16-amp",), gpu=True),
    # Shards in pinned memory, and accelerate's meshes, are for accelerators alone.
    Need("strategy", ("fsdp-offload", "tp"), gpu=True),
)


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
        raise Missing(
            f"ranks={ranks} needs {ranks} {what}s, one each, and there {'is' if room == 1 else 'are'} {room}: "
            f"two ranks on one {what} only take turns; run it on a machine with {ranks}, or with fewer ranks"
        )
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
        if need.package and find_spec(need.package) is None:
            what = f"'perfgate[{need.extra}]'" if need.extra else need.package
            yield (
                f"{setting} needs the package {need.package}, which is not installed; "
                f"install it: {sys.executable} -m pip install {what}"
            )
