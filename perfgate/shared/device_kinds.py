"""The kinds of device, with one row for each kind.

A row holds every difference between kinds that is not code, and names the modules with the kind's code: the
parent's handle (``measure/devices/``), the actor's device (``actor/devices/``), the rules of its dry run, where it
has any (``actor/dry_run/``), and its yardstick (``actor/yardsticks/``).
"""

import importlib
import platform
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
        system: the operating system that has such devices, as ``platform.system()`` names it; empty for any.
        visible: the environment variable that lists the devices visible to a process; empty if there is none.
        chosen_by: the variable by which the user chooses among devices, if processes do not read it themselves.
        backend: the backend of ``torch.distributed``, for tensors on the device and on the host.
        collectives: the beginning of collectives' names in the profiler.
        activity: the member of ``torch.profiler.ProfilerActivity`` for work on the device; that of the CPU where
            torch's profiler does not see the device.
        bursts: whether calls return before the work is done, so that a turn consists of several steps.
        rules: the class in ``actor/dry_run/`` with the rules of a dry run; empty if there is no dry run for this kind.
        no_rules: why a real kind has no such rules, as a clause.
        power: the function in ``measure/devices/`` that returns the control of a device's power limit; it takes the
            order that names the device. Empty if Perfgate cannot set one.
        capabilities: whether its devices have CUDA's compute capabilities, on which kernels and workspaces depend.
        never_run: whether the kind was written from documentation, and has never run on such a device.
        cannot_tell: the facts about such a device that nothing reports, as a list in words.
        scripted: whether it is a fake device for tests, which is never found automatically.
        timed: whether times that are measured on it have a meaning.
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
    system: str = ""
    visible: str = ""
    chosen_by: str = ""
    backend: str = "gloo"
    collectives: tuple[str, ...] = ("gloo:",)
    activity: str = "CPU"
    bursts: bool = False
    rules: str = ""
    no_rules: str = ""
    power: str = ""
    capabilities: bool = False
    never_run: bool = False
    cannot_tell: str = ""
    scripted: bool = False
    timed: bool = True
    emulates: str = ""

    @property
    def gpu(self) -> bool:
        """Whether the device is no CPU, and has its own memory."""
        return self.torch_name != "cpu"

    @property
    def torch_cuda(self) -> bool:
        """Whether ``torch.cuda`` tells about the device."""
        return self.torch_name == "cuda"

    @property
    def real(self) -> str:
        """The name of the kind that it is or stands for."""
        return self.emulates or self.name

    @property
    def untested(self) -> str:
        """The sentence about a kind that has never run, without its full stop; empty for any other."""
        if not self.never_run:
            return ""
        return f"{self.title} was written from documentation and has never run; it cannot tell {self.cannot_tell}"

    @property
    def remark(self) -> str:
        """A remark for a machine's name, so that nobody takes its numbers for a real card's; usually empty."""
        if self.emulates:
            return " (an emulated card: exact memory and launches, no times)"
        return f" ({self.untested})" if self.never_run else ""

    @property
    def predicted_peak(self) -> str:
        """The metric with a dry run's predicted peak memory for this kind."""
        return f"predicted_{self.prefix}peak_bytes"

    @property
    def predicted_net(self) -> str:
        """The name of the metric with that peak, without the workspaces of libraries."""
        return f"predicted_{self.prefix}net_bytes"

    def predicted_in_blocks(self, name: str) -> str:
        """The metric with a dry run's predicted memory in blocks; ``name`` is ``allocated`` or ``reserved``."""
        return f"predicted_{self.prefix}{name}_bytes"

    def predicted_component(self, name: str) -> str:
        """The metric with a dry run's predicted peak while one component works, such as the decoder."""
        return f"predicted_{self.prefix}{name}_peak_bytes"

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
        rules="perfgate.actor.dry_run.cpu_rules:CpuRules",
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
        # With offloading, a rank computes the norm of its gradients on the host.
        backend="cuda:nccl,cpu:gloo",
        collectives=("gloo:", "nccl:", "ncclDevKernel", "ncclKernel"),
        activity="CUDA",
        bursts=True,
        rules="perfgate.actor.dry_run.cuda_rules:CudaRules",
        power="perfgate.measure.devices.power:of_gpu",
        capabilities=True,
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
        capabilities=True,
        timed=False,
        emulates="cuda",
    ),
    DeviceKind(
        name="rocm",
        title="ROCm",
        actor="perfgate.actor.devices.rocm:Rocm",
        yardstick="perfgate.actor.yardsticks.rocm:RocmYardstick",
        yardstick_version=1,
        handles="perfgate.measure.devices.rocm:rocm_devices",
        torch_name="cuda",  # HIP uses CUDA's names
        build="rocm",
        visible="ROCR_VISIBLE_DEVICES",
        backend="cuda:nccl,cpu:gloo",  # RCCL uses the name nccl
        collectives=("gloo:", "nccl:", "ncclDevKernel", "ncclKernel"),
        activity="CUDA",
        bursts=True,
        no_rules="what HIP's libraries take beside a step's tensors is not known",
        never_run=True,
        cannot_tell="how long clocks are held down, error correction, or what a step would take in a dry run",
    ),
    DeviceKind(
        name="mps",
        title="Apple's mps",
        actor="perfgate.actor.devices.mps:Mps",
        yardstick="perfgate.actor.yardsticks.mps:MpsYardstick",
        yardstick_version=1,
        handles="perfgate.measure.devices.mps:mps_devices",
        torch_name="mps",
        system="Darwin",
        bursts=True,
        no_rules="what Metal takes beside a step's tensors is not known",
        never_run=True,
        cannot_tell="peak memory, kernels, host syncs, who else uses the GPU, clocks, energy, or what a step would "
        "take in a dry run",
    ),
    DeviceKind(
        name="fake",
        title="scripted device",
        actor="perfgate.actor.devices.fake:Fake",
        yardstick="perfgate.actor.yardsticks.fake:FakeYardstick",
        yardstick_version=1,
        handles="perfgate.measure.devices.fake:fake_devices",
        chosen_by="CUDA_VISIBLE_DEVICES",
        bursts=True,
        power="perfgate.measure.devices.fake:power_of",
        scripted=True,
    ),
)
DEVICE_KINDS = {kind.name: kind for kind in KINDS}
# Kinds that torch supports and Perfgate does not, with a sentence about each.
NOT_BEGUN = {"xpu": "Intel's GPUs (xpu) are not begun: Perfgate has no row, no device and no yardstick for them"}
# The kinds for which a case may name expectations.
REAL = tuple(kind.name for kind in KINDS if not kind.emulates)
# The kinds with a dry run. The CPU comes first, because its dry run counts the work.
DRY_TARGETS = tuple(kind.name for kind in KINDS if kind.rules)
# The dry target whose rules depend on the compute capability of a card.
CAPABLE = next(kind.name for kind in KINDS if kind.rules and kind.capabilities)
# The variables that hide all devices from libraries that are imported before an actor's device is known.
HIDDEN = {kind.visible: "" for kind in KINDS if kind.visible}


def built_for(torch_version: str) -> DeviceKind:
    """The kind of device that a version of torch, such as ``2.13.0+cpu``, was built for."""
    local, here = torch_version.partition("+")[2], platform.system()
    marked = (kind for kind in KINDS if kind.build and local.startswith(kind.build))
    unmarked = [kind for kind in KINDS if not kind.build and not kind.scripted and kind.timed]
    of_system = (kind for kind in unmarked if kind.system == here)
    return next(marked, None) or next(of_system, None) or next(kind for kind in unmarked if not kind.system)


def load(place: str) -> Any:
    """Import ``module:name`` and return it."""
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)
