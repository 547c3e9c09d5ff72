"""The kinds of device, with one row for each kind.

A row holds every difference between kinds that is not code, and names the four modules with the kind's code: the
parent's handle (``measure/devices/``), the actor's device (``actor/devices/``), the rules of its dry run
(``actor/dry_run/``), and its yardstick (``actor/yardsticks/``).
"""

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DeviceKind:
    """One kind of device.

    Attributes:
        name: the name in ``--perf-device`` and in run files.
        title: the name in reports.
        actor: the class in ``actor/devices/`` that programs run on.
        yardstick: the program in ``actor/yardsticks/`` that runs beside a case.
        yardstick_version: the version of the yardstick; ratios to different versions are not compared.
        handles: the function in ``measure/devices/`` that finds the visible devices of this kind. Its arguments say
            whether there must be one, and what follows the kind's name and a colon in ``--perf-device``. Empty for the
            CPU, which is always there.
        torch_name: the name of the device in torch.
        build: the beginning of the local version of a torch built for this kind, such as ``rocm`` in
            ``2.13.0+rocm7.1``; empty for the kind that builds without a local version are for.
        visible: the environment variable that lists the devices visible to a process; empty if there is none.
        backend: the backend of ``torch.distributed``, for tensors on the device and on the host.
        collectives: the beginning of collectives' names in the profiler.
        activity: the member of ``torch.profiler.ProfilerActivity`` for work on the device.
        bursts: whether calls return before the work is done, so that a turn consists of several steps.
        rules: the class in ``actor/dry_run/`` with the rules of a dry run; empty if there is no dry run for this kind.
        scripted: whether it is a fake device for tests, which is never found automatically.
        timed: whether times that are measured on it mean something.
        emulates: the kind that it stands for, whose dry runs and expectations hold for it; empty for a real kind.
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
    timed: bool = True
    emulates: str = ""

    @property
    def gpu(self) -> bool:
        """Whether the device is no CPU, and has its own memory."""
        return self.torch_name != "cpu"

    @property
    def real(self) -> str:
        """The name of the kind that it is or stands for."""
        return self.emulates or self.name

    @property
    def remark(self) -> str:
        """What to say beside a machine's name, so that nobody takes its numbers for a card's; mostly nothing."""
        return " (an emulated card: exact memory and launches, no times)" if self.emulates else ""

    @property
    def predicted_peak(self) -> str:
        """The name of the metric with the peak memory that a dry run predicts for this kind."""
        return f"predicted_{self.prefix}peak_bytes"

    def predicted_in_blocks(self, name: str) -> str:
        """The name of the metric with the memory in blocks that a dry run predicts, ``allocated`` or ``reserved``."""
        return f"predicted_{self.prefix}{name}_bytes"

    @property
    def prefix(self) -> str:
        """The beginning of the names of a dry run's memory: ``""`` for the CPU, ``cuda_`` for CUDA."""
        return f"{self.real}_" if self.gpu else ""


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
        # A rank with offloading adds up the norm of its gradients on the host.
        backend="cuda:nccl,cpu:gloo",
        collectives=("gloo:", "nccl:", "ncclDevKernel", "ncclKernel"),
        activity="CUDA",
        bursts=True,
        rules="perfgate.actor.dry_run.cuda_rules:CudaRules",
    ),
    DeviceKind(
        name="emulated",
        title="emulated CUDA",
        actor="perfgate.actor.devices.emulated:Emulated",
        yardstick="perfgate.actor.yardsticks.cuda:EmulatedYardstick",
        yardstick_version=1,
        handles="perfgate.measure.devices.emulated:emulated_devices",
        torch_name="cuda",
        visible="CUDA_VISIBLE_DEVICES",
        activity="CUDA",
        bursts=True,
        timed=False,
        emulates="cuda",
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
# The kinds with a dry run. The CPU comes first, because its dry run counts the work.
DRY_TARGETS = tuple(kind.name for kind in KINDS if kind.rules)
# The variables that hide all devices from libraries that are imported before an actor's device is known.
HIDDEN = {kind.visible: "" for kind in KINDS if kind.visible}


def built_for(torch_version: str) -> DeviceKind:
    """The kind of device that a version of torch, such as ``2.13.0+cpu``, was built for."""
    local = torch_version.partition("+")[2]
    marked = (kind for kind in KINDS if kind.build and local.startswith(kind.build))
    unmarked = (kind for kind in KINDS if not kind.build and not kind.scripted and kind.timed)
    return next(marked, None) or next(unmarked)


def load(place: str) -> Any:
    """Import ``module:name`` and return it."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
