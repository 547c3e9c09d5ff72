"""Does a step fit into a GPU's memory, and which batch does: decisions, as pure functions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from perfgate.predict.gpu_catalog import GpuSpec
from perfgate.shared.workload import Json

# What a process takes beside its tensors, once torch has launched a kernel: 426 MiB on an RTX 6000 Ada with CUDA 13
# (https://github.com/unslothai/unsloth-zoo/pull/1053), "around 400MB" with kernels loaded when first needed
# (https://github.com/pytorch/pytorch/issues/109888). Rounded up, and taken to be the same on every GPU.
CONTEXT_BYTES = 512 * 2**20
# What the driver keeps: the total that CUDA reports is lower than the memory of the card by 1 to 2 percent, as in 47.37
# of the 48 GiB of an RTX 6000 Ada (the same page). The higher figure, for every GPU.
DRIVER_SHARE = 0.02
# GDDR6 has no room of its own for error correction, which these have switched on as they are delivered: it takes one
# part in sixteen. nvidia-smi prints 15360 MiB for a T4, 23034 MiB for an L4, 46068 MiB for an L40S.
ECC_SHARE = 1 / 16
ECC_IN_MEMORY = ("A10", "A10G", "A40", "L4", "L40S", "T4")
MAX_BATCH = 2**16
STRIDE = 32  # times the largest batch that is known to fit
PATIENCE = 6  # looks along lines, before every second one halves what is left

Settings = Mapping[str, Json]


@dataclass(frozen=True)
class StepCost:
    """What a dry run tells of a step.

    Attributes:
        peak_memory_bytes: the most that lives at once.
        memory_by_part_bytes: the same by part; the parts sum to the peak.
        flops: floating-point operations.
        flops_by_group: the same by group of operators.
        operator_calls: how many kernels are launched, about.
        roofline_s: seconds that the step takes at least, at the peak rates of a GPU; ``None`` where none is named.
    """

    peak_memory_bytes: int
    memory_by_part_bytes: Mapping[str, int]
    flops: int
    flops_by_group: Mapping[str, int]
    operator_calls: int
    roofline_s: float | None = None

    @classmethod
    def from_json(cls, answer: Mapping[str, Json]) -> "StepCost":
        """Read what a dry run answers, and leave out what is not asked for here."""
        return cls(**{name: answer[name] for name in cls.__dataclass_fields__})


@dataclass(frozen=True)
class Largest:
    """The largest batch that fits; 0 where not even one sample does.

    Attributes:
        batch_size: this one fits, and one more does not.
        capped: nothing larger was tried, and more may fit.
    """

    batch_size: int
    capped: bool = False


@dataclass(frozen=True)
class Remedy:
    """A change of settings that was tried."""

    setting: Settings
    peak_memory_bytes: int
    fits: bool


@dataclass(frozen=True)
class Prediction:
    """What is known of a step before it is run.

    Attributes:
        workload: as it would be sent to an actor.
        model: its name.
        setting: what was asked for.
        ledger: of the step.
        gpu: the GPU that is asked about; without one nothing fits or does not.
        largest: batch that fits.
        remedies: what was tried to make it fit, in that order; nothing where it does.
    """

    workload: Mapping[str, Json]
    model: str
    setting: Settings
    ledger: StepCost
    gpu: GpuSpec | None = None
    largest: Largest | None = None
    remedies: tuple[Remedy, ...] = field(default=())

    @property
    def fits(self) -> bool | None:
        """Whether the step fits; ``None`` without a GPU."""
        return None if self.gpu is None else self.ledger.peak_memory_bytes <= room_bytes(self.gpu)

    def to_json(self) -> dict[str, Json]:
        """One document, in plain numbers."""
        return {
            **asdict(self.ledger),
            "fits": self.fits,
            "max_batch_size": self.largest and self.largest.batch_size,
            "max_batch_size_capped": self.largest and self.largest.capped,
            "gpu": self.gpu and self.gpu.name,
            "gpu_room_bytes": self.gpu and room_bytes(self.gpu),
            "model": self.model,
            "workload": self.workload,
            "remedies": [asdict(remedy) for remedy in self.remedies],
        }


def room_bytes(gpu: GpuSpec) -> int:
    """What is left of a GPU's memory for tensors; figures of others, not measured here."""
    kept = DRIVER_SHARE + (ECC_SHARE if gpu.name in ECC_IN_MEMORY else 0)
    return round(gpu.memory_bytes * (1 - kept)) - CONTEXT_BYTES


def of_accumulated(two: StepCost, three: StepCost, count: int) -> StepCost:
    """The ledger of a step with any number of micro-batches from 2 on, from those with two and with three.

    From the second micro-batch on each costs the same work, and the memory of its inputs.
    """

    def at(low: Any, high: Any) -> Any:
        if isinstance(low, Mapping):
            return {name: at(low[name], high[name]) for name in low}
        return None if low is None else low + (count - 2) * (high - low)

    return StepCost(**{name: at(getattr(two, name), getattr(three, name)) for name in StepCost.__dataclass_fields__})


def largest_batch(peak_bytes: Callable[[int], int], room: int, first: int, cap: int = MAX_BATCH) -> Largest:
    """Find the largest batch whose peak is at most ``room`` bytes; it and the next larger one have both been looked at.

    Args:
        peak_bytes: memory that a batch takes, which nowhere falls; straight in pieces, or the search takes longer.
        room: bytes.
        first: a batch size to begin with.
        cap: the largest that is looked at.
    """
    known: dict[int, int] = {}
    low, high, candidate = 0, cap + 1, min(first, cap)
    while high - low > 1:
        known[candidate] = peak_bytes(candidate)
        if known[candidate] <= room:
            low = candidate
        else:
            high = candidate
        candidate = min(max(guess(known, room, low, high), low + 1), high - 1)
    return Largest(low, low == cap)


def guess(known: Mapping[int, int], room: int, low: int, high: int) -> int:
    """Where to look next, perhaps outside of the bounds: along straight lines, as each look costs seconds."""
    points = sorted(known.items())
    below = [point for point in points if point[0] <= low]
    above = [point for point in points if point[0] >= high]
    if not below:
        return 1
    if not above:
        # Small batches can lie on a plateau, where the optimizer's step has the peak and says nothing of larger ones.
        return min(crossing(below[-2:], room) or STRIDE * low, STRIDE * low)
    if len(known) > PATIENCE and len(known) % 2:
        return (low + high) // 2
    for pair in (above[:2], below[-2:]):
        met = crossing(pair, room)
        if met is not None and low <= met <= high:
            return met
    return crossing([below[-1], above[0]], room) or low


def crossing(points: Sequence[tuple[int, int]], room: int) -> int | None:
    """The batch at which the line through two points meets ``room``; ``None`` where there is no such line."""
    if len(points) < 2 or points[0][1] == points[1][1]:
        return None
    (x0, y0), (x1, y1) = points
    return x0 + (room - y0) * (x1 - x0) // (y1 - y0)
