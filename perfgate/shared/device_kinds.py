"""The kinds of device: all that differs between them and is not code, one row each.

The code of a kind lies in four modules, which its row names: how the parent sees it (``measure/devices/``), how a
program runs on it (``actor/devices/``), what a dry run does otherwise for it (``actor/dry_run/``), and its yardstick
(``actor/yardsticks/``).
"""

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DeviceKind:
    """One kind of device.

    Attributes:
        name: as ``--perf-device`` and run files name it.
        title: as reports name it.
        actor: the class of ``actor/devices/`` that programs run on.
        yardstick: the program of ``actor/yardsticks/`` that is stepped beside a case.
        yardstick_version: of the unit that its times are; numbers in units of another version are not compared.
        handles: the function of ``measure/devices/`` that finds the devices of this kind which the caller sees. It
            takes whether one must be there, and what ``--perf-device`` says after the kind's name and a colon. Empty
            for the CPU, which is always there.
        torch_name: what torch calls it.
        build: how the local version of a torch that is built for this kind begins, as ``rocm`` in ``2.13.0+rocm7.1``;
            empty for the kind that builds without a mark of their own are for.
        visible: the environment variable that names the devices which a process sees; empty where there is none.
        backend: of ``torch.distributed``, for tensors on the device and on the host.
        collectives: how the profiler's names of collectives begin.
        activity: the member of ``torch.profiler.ProfilerActivity`` that tells what runs on it.
        bursts: whether a call hands work over that is done later, so that a turn buys several steps.
        rules: the class of ``actor/dry_run/`` that holds what a dry run does for it; empty where there is no such run.
        scripted: whether it is made up for tests, and nobody finds it by itself.
    """

    name: str
    title: str
    actor: str
    yardstick: str
    yardstick_version: int
    handles: str = ""
    torch_name: str = "cpu"
    build: str = ""
    visible: str = ""
    backend: str = "gloo"
    collectives: tuple[str, ...] = ("gloo:",)
    activity: str = "CPU"
    bursts: bool = False
    rules: str = ""
    scripted: bool = False

    @property
    def gpu(self) -> bool:
        """Whether it is a device besides the CPU, with memory of its own."""
        return self.torch_name != "cpu"

    @property
    def predicted_peak(self) -> str:
        """The metric that holds the peak memory which a dry run predicts for this kind."""
        return f"predicted_{self.prefix}peak_bytes"

    @property
    def prefix(self) -> str:
        """What the names of a dry run's memory begin with: nothing for the CPU, ``cuda_`` for CUDA."""
        return f"{self.name}_" if self.gpu else ""


KINDS = (
    DeviceKind(
        name="cpu",
        title="CPU",
        actor="perfgate.actor.devices.cpu:Cpu",
        yardstick="perfgate.actor.yardsticks.cpu:Yardstick",
        yardstick_version=2,
        build="cpu",
        rules="perfgate.actor.dry_run.cuda_rules:CpuRules",
    ),
    DeviceKind(
        name="cuda",
        title="CUDA",
        actor="perfgate.actor.devices.cuda:Cuda",
        yardstick="perfgate.actor.yardsticks.cuda:GpuYardstick",
        yardstick_version=1,
        handles="perfgate.measure.devices.cuda:cuda_devices",
        torch_name="cuda",
        visible="CUDA_VISIBLE_DEVICES",
        # An offloaded rank adds up its gradients' norm on the host.
        backend="cuda:nccl,cpu:gloo",
        collectives=("gloo:", "nccl:", "ncclDevKernel", "ncclKernel"),
        activity="CUDA",
        bursts=True,
        rules="perfgate.actor.dry_run.cuda_rules:CudaRules",
    ),
    DeviceKind(
        name="fake",
        title="scripted device",
        actor="perfgate.actor.devices.fake:Fake",
        yardstick="perfgate.actor.yardsticks.fake:FakeYardstick",
        yardstick_version=1,
        handles="perfgate.measure.devices.fake:fake_devices",
        bursts=True,
        scripted=True,
    ),
)
DEVICE_KINDS = {kind.name: kind for kind in KINDS}
# Those that a dry run tells of, the CPU first, which counts the work.
DRY_TARGETS = tuple(kind.name for kind in KINDS if kind.rules)
# No device for libraries that are imported ahead of knowing which one an actor takes.
HIDDEN = {kind.visible: "" for kind in KINDS if kind.visible}


def built_for(torch_version: str) -> DeviceKind:
    """The kind that a build of torch is for, by its version, as ``2.13.0+cpu``."""
    local = torch_version.partition("+")[2]
    marked = (kind for kind in KINDS if kind.build and local.startswith(kind.build))
    unmarked = (kind for kind in KINDS if not kind.build and not kind.scripted)
    return next(marked, None) or next(unmarked)


def load(place: str) -> Any:
    """What ``module:name`` stands for; the module is imported now."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
