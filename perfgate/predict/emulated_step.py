"""Takes steps on an emulated card, so that torch's own allocator can be compared with the dry run."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from perfgate.measure.actor import LaunchFailed
from perfgate.measure.devices.emulated import emulated_devices
from perfgate.measure.placement import placed
from perfgate.measure.pool import Pool
from perfgate.reference.interpreter import Interpreter
from perfgate.shared.errors import UserError
from perfgate.shared.workload import Workload

# The card that is emulated for a GPU of the catalogue.
CARDS = {
    "H100-SXM-80GB": "h100-sxm-80gb",
    "H100-PCIe-80GB": "h100-pcie-80gb",
    "H200": "h200-141gb",
    "A100-SXM-80GB": "a100-80gb",
    "A100-SXM-40GB": "a100-40gb",
    "L4": "l4-24gb",
    "L40S": "l40s-48gb",
    "RTX-4090": "rtx-4090-24gb",
    "T4": "t4-16gb",
    "B200": "b200-180gb",
}
STEPS = 3  # gradients and optimizer state exist from the second step on
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class EmulatedStep:
    """The memory of a step by torch's allocator, on an emulated card.

    Attributes:
        card: the card's profile.
        allocated_bytes: the most memory in tensors at once; 0 if there is no answer.
        reserved_bytes: the most memory that the allocator took from the card.
        why: why there is no answer, as a clause: the step ran out of memory, or there is no torch for CUDA here.
    """

    card: str
    allocated_bytes: int = 0
    reserved_bytes: int = 0
    why: str = ""

    @property
    def lost_bytes(self) -> int:
        """The memory that the allocator held and no tensor used at the peak: gaps between tensors, and rounding."""
        return self.reserved_bytes - self.allocated_bytes


def card_of(gpu: str | None, title: str) -> str:
    """The profile of the card to emulate: the named one, or the one for a GPU.

    Raises:
        UserError: there is no card for the GPU.
    """
    if title or gpu is None:
        return title
    if gpu not in CARDS:
        raise UserError(f"--emulate: there is no card that stands for {gpu}; name one: {', '.join(CARDS.values())}")
    return CARDS[gpu]


def emulated_step(
    workload: Workload, title: str, preload: Sequence[str] = (), programs: Sequence[str] = ()
) -> EmulatedStep:
    """Take some steps of a workload on a card, and read the last step's peaks.

    Args:
        workload: the workload to run.
        title: the card's profile; empty for the standard one.
        preload: modules to import in advance.
        programs: the folders of these modules; they come after all installed packages.

    Raises:
        UserError: there is no such card.
    """
    (device,) = emulated_devices(True, title)
    card = device.machine.name.removeprefix(f"{device.kind}-")
    modules = [workload.program.partition(":")[0], *preload]
    where = Interpreter(after=tuple(programs))
    try:
        with (
            TemporaryDirectory() as folder,
            closing(Pool(modules, Path(folder), 1, where, "emulated", device.environment)) as pool,
        ):
            server = pool.next()
            actor = server.launch(spawn=bool(server.unreached(device.order, compiled=False)))
            order = {"workload": workload.order, "pass": "memory", "threads": 1, "timeout_s": TIMEOUT_S}
            try:
                actor.ask(order | placed(device, workload, pinned=False), TIMEOUT_S)
                steps = [actor.ask({"steps": 1}, TIMEOUT_S)["metrics"] for _ in range(STEPS)]
            finally:
                actor.close(kill=True)
    except LaunchFailed as failure:
        return EmulatedStep(card, why=failure.reason)
    except UserError as error:
        return EmulatedStep(card, why=str(error))
    return EmulatedStep(card, int(steps[-1]["peak_memory_bytes"]), int(steps[-1]["peak_reserved_bytes"]))
