"""Decides whether a step fits into a GPU's memory, and finds the largest batch that fits; pure functions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from perfgate.predict.emulated_step import EmulatedStep
from perfgate.predict.gpu_catalog import GpuSpec
from perfgate.shared.workload import Json

# The memory that CUDA takes in each process that has launched a kernel: 426 MiB on an RTX 6000 Ada with CUDA 13
# (https://github.com/unslothai/unsloth-zoo/pull/1053), "around 400MB" with kernels loaded when first needed
# (https://github.com/pytorch/pytorch/issues/109888). Rounded up, and assumed to be the same on every GPU.
CONTEXT_BYTES = 512 * 2**20
# The driver keeps 1 to 2 percent of a card: CUDA reports 47.37 of the 48 GiB of an RTX 6000 Ada (the first page above).
# The higher figure is assumed for every GPU.
DRIVER_SHARE = 0.02
# GDDR6 has no separate memory for error correction, which takes one part in sixteen on these GPUs, where it is on by
# default. nvidia-smi prints 15360 MiB for a T4, 23034 MiB for an L4, 46068 MiB for an L40S.
ECC_SHARE = 1 / 16
ECC_IN_MEMORY = ("A10", "A10G", "A40", "L4", "L40S", "T4")
MAX_BATCH = 2**16
STRIDE = 32  # the next guess is at most this many times the largest batch that is known to fit
PATIENCE = 6  # after this many guesses along straight lines, every second guess halves the remaining range

Settings = Mapping[str, Json]


@dataclass(frozen=True)
class StepCost:
    """The cost of a step as a dry run counts it.

    Attributes:
        peak_memory_bytes: the most memory that is allocated at once.
        memory_by_part_bytes: the same by part; the parts sum to the peak.
        flops: floating-point operations.
        flops_by_group: the same by group of operators.
        operator_calls: number of operators called, which is about the number of kernels launched.
        roofline_s: a lower bound of the step's time, from the peak rates of a GPU; ``None`` if no GPU is named.
        in_blocks: the memory as torch's allocator counts it: bytes ``allocated`` in blocks, and ``reserved``. Empty on
            a CPU, and for a step that was computed from others.
        components: for each component of a pipeline: ``peak_memory_bytes`` while the component runs, its ``flops`` and
            its ``roofline_s``. Empty for a single model, and for a batch that was computed from others.
    """

    peak_memory_bytes: int
    memory_by_part_bytes: Mapping[str, int]
    flops: int
    flops_by_group: Mapping[str, int]
    operator_calls: int
    roofline_s: float | None = None
    in_blocks: Mapping[str, int] = field(default_factory=dict)
    components: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)

    @classmethod
    def from_json(cls, answer: Mapping[str, Json]) -> "StepCost":
        """Read the answer of a dry run, ignoring keys that are no attribute."""
        return cls(**{name: answer[name] for name in cls.__dataclass_fields__ if name in answer})


@dataclass(frozen=True)
class Largest:
    """The largest batch that fits.

    Attributes:
        batch_size: this many samples fit, and one more does not; 0 if not even one sample fits.
        capped: the search stopped at its upper limit, so a larger batch may fit.
    """

    batch_size: int
    capped: bool = False


@dataclass(frozen=True)
class Remedy:
    """A change of settings that was tried, with its peak memory."""

    setting: Settings
    peak_memory_bytes: int
    fits: bool


@dataclass(frozen=True)
class Prediction:
    """The predicted cost of a step and, if a GPU is named, whether the step fits on it.

    Attributes:
        workload: the workload in the form for an actor.
        model: the model's name.
        setting: the settings that were asked for.
        ledger: the cost of the step.
        gpu: the GPU that was asked about, or ``None``.
        largest: the largest batch that fits the GPU.
        remedies: changes that were tried to make the step fit, in that order; empty if it fits already.
        emulated: the peaks of torch's allocator on an emulated card; ``None`` if not wanted.
    """

    workload: Mapping[str, Json]
    model: str
    setting: Settings
    ledger: StepCost
    gpu: GpuSpec | None = None
    largest: Largest | None = None
    remedies: tuple[Remedy, ...] = field(default=())
    emulated: EmulatedStep | None = None

    @property
    def fits(self) -> bool | None:
        """Whether the step fits on the GPU; ``None`` if no GPU is named."""
        return None if self.gpu is None else self.ledger.peak_memory_bytes <= room_bytes(self.gpu)

    def to_json(self) -> dict[str, Json]:
        """The prediction as one JSON document, with numbers in base units."""
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
            "emulated": self.emulated and asdict(self.emulated),
        }


def room_bytes(gpu: GpuSpec) -> int:
    """The bytes of a GPU's memory that are left for tensors. The shares come from other people's reports."""
    kept = DRIVER_SHARE + (ECC_SHARE if gpu.name in ECC_IN_MEMORY else 0)
    return round(gpu.memory_bytes * (1 - kept)) - CONTEXT_BYTES


def extrapolated(fewer: StepCost, more: StepCost, beyond: int) -> StepCost:
    """Extrapolate the cost of a step with many repetitions from the costs of two steps with fewer.

    Each micro-batch after the first adds the same work, and the memory of its inputs. Each step of denoising adds the
    same work.

    Args:
        fewer: the cost of the step with fewer repetitions.
        more: the cost with one more.
        beyond: the number of repetitions beyond those of ``fewer``.
    """

    def at(low: Any, high: Any) -> Any:
        if isinstance(low, Mapping):
            return {name: at(low[name], high[name]) for name in low}
        return None if low is None else low + beyond * (high - low)

    found = {name: at(getattr(fewer, name), getattr(more, name)) for name in StepCost.__dataclass_fields__}
    return StepCost(**found | {"in_blocks": {}})


def largest_batch(peak_bytes: Callable[[int], int], room: int, first: Sequence[int], cap: int = MAX_BATCH) -> Largest:
    """Find the largest batch whose peak is at most ``room`` bytes, by trying it and the next larger one.

    Args:
        peak_bytes: returns the peak memory of a batch size. It must never fall as batches grow; the search is fastest
            if it consists of straight pieces.
        room: bytes that are available.
        first: batch sizes to try first, in this order.
        cap: the largest batch size to try.
    """
    known: dict[int, int] = {}
    low, high = 0, cap + 1
    ahead = [size for size in (min(size, cap) for size in first) if size > 0]
    while high - low > 1:
        ahead = [size for size in ahead if low < size < high]
        candidate = ahead.pop(0) if ahead else min(max(guess(known, room, low, high), low + 1), high - 1)
        known[candidate] = peak_bytes(candidate)
        if known[candidate] <= room:
            low = candidate
        else:
            high = candidate
    return Largest(low, low == cap)


def guess(known: Mapping[int, int], room: int, low: int, high: int) -> int:
    """The batch size to try next, which may lie outside of ``low`` and ``high``.

    It follows straight lines through the known points, because each try is a dry run and takes seconds.

    Args:
        known: peak bytes by batch size.
        room: bytes that are available.
        low: the largest batch size that is known to fit.
        high: the smallest batch size that is known not to fit.
    """
    points = sorted(known.items())
    below = [point for point in points if point[0] <= low]
    above = [point for point in points if point[0] >= high]
    if not below:
        return 1
    if not above:
        # The peaks of small batches can all be equal, because the peak is in the optimizer's step. They then
        # say nothing about larger batches.
        return min(crossing(below[-2:], room) or STRIDE * low, STRIDE * low)
    if len(known) > PATIENCE and len(known) % 2:
        return (low + high) // 2
    for pair in (above[:2], below[-2:]):
        met = crossing(pair, room)
        if met is not None and low <= met <= high:
            return met
    return crossing([below[-1], above[0]], room) or low


def crossing(points: Sequence[tuple[int, int]], room: int) -> int | None:
    """The batch size at which the line through two points reaches ``room`` bytes; ``None`` if the line is level."""
    if len(points) < 2 or points[0][1] == points[1][1]:
        return None
    (x0, y0), (x1, y1) = points
    return x0 + (room - y0) * (x1 - x0) // (y1 - y0)
