"""The growth of a step's cost with the batch, computed from the traces of two dry runs; pure functions.

Between two batch sizes, every tensor and the work of every operator grow linearly. The peak does not, because it
moves from one moment of the step to another. Therefore each allocation is extrapolated, rounded up as the allocator
does, and the peak is searched among all moments. What a sum takes while it runs grows in steps and up to a bound; it is
computed from the shape of its input, which grows linearly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

from perfgate.predict.memory_fit import StepCost
from perfgate.shared.cuda_reductions import Reduction
from perfgate.shared.metrics import PARTS
from perfgate.shared.workload import Json

Column = npt.NDArray[np.int64]
GROUPS = ("contractions", "normalizations", "element-wise", "other")  # the groups of operators in dry runs
GROWING = ("tensor_bytes", "inputs", "flops", "moved_bytes")


@dataclass(frozen=True)
class Trace:
    """A dry step, allocation by allocation and operator by operator.

    Attributes:
        block_bytes: the allocator rounds sizes up to multiples of this.
        workspace_bytes: memory that libraries hold besides all tensors; it counts as temporaries.
        before: the number of allocations before the step.
        asked_bytes: the size of each allocation before rounding, in the order of allocation.
        freed: for each allocation, the number of allocations made before it was released; their total if it was not.
        parts: for each allocation, the index of its part in ``PARTS``.
        reductions: each sum or mean by the number of its temporary allocation.
        groups: the group of each operator.
        dtypes: the type of numbers that each operator computes in.
        flops: the floating-point operations of each operator.
        moved_bytes: the bytes that each operator reads and writes.
    """

    block_bytes: int
    workspace_bytes: int
    before: int
    asked_bytes: Column
    freed: Column
    parts: Column
    reductions: Mapping[int, Reduction]
    groups: tuple[str, ...]
    dtypes: tuple[str, ...]
    flops: Column
    moved_bytes: Column

    @classmethod
    def from_json(cls, answer: Mapping[str, Json]) -> "Trace":
        """Read the trace in the answer of a dry run."""
        columns = {name: np.array(answer[name], np.int64) for name in ("asked_bytes", "parts", "flops", "moved_bytes")}
        freed = np.array(answer["freed"], np.int64)
        freed[freed < 0] = len(freed)
        return cls(
            block_bytes=answer["block_bytes"],
            workspace_bytes=answer["workspace_bytes"],
            before=answer["before"],
            freed=freed,
            reductions={at: Reduction.from_json(*row) for at, *row in answer["reductions"]},
            groups=tuple(answer["groups"]),
            dtypes=tuple(answer["dtypes"]),
            **columns,
        )

    def like(self, other: "Trace") -> bool:
        """Whether the step of another batch size allocates, releases and computes in the same order."""
        sizes = [(t.block_bytes, t.workspace_bytes, t.before, t.groups, t.dtypes) for t in (self, other)]
        sums = [{at: (len(one.shape), one.reduced) for at, one in t.reductions.items()} for t in (self, other)]
        columns = ((getattr(self, name), getattr(other, name)) for name in ("freed", "parts"))
        return sizes[0] == sizes[1] and sums[0] == sums[1] and all(np.array_equal(*column) for column in columns)

    @cached_property
    def tensor_bytes(self) -> Column:
        """The size of each allocation, with 0 for the temporary ones of reductions."""
        size = self.asked_bytes.copy()
        size[np.array([*self.reductions], np.int64)] = 0
        return size

    @cached_property
    def inputs(self) -> Column:
        """The shapes and strides of what is reduced, one after another."""
        return np.array([n for one in self.reductions.values() for n in (*one.shape, *one.strides)], np.int64)

    def with_inputs(self, inputs: Column) -> "Trace":
        """The same step whose reductions have other inputs, and therefore take other bytes meanwhile."""
        numbers = iter(inputs.tolist())
        shapes = ([tuple(islice(numbers, len(one.shape))) for _ in range(2)] for one in self.reductions.values())
        reductions = {
            at: replace(one, shape=shape, strides=strides)
            for (at, one), (shape, strides) in zip(self.reductions.items(), shapes, strict=True)
        }
        size = self.asked_bytes.copy()
        size[np.array([*reductions], np.int64)] = [one.scratch_bytes for one in reductions.values()]
        return replace(self, asked_bytes=size, reductions=reductions)

    def cost(self, speeds: Mapping[str, float] | None) -> StepCost:
        """The cost of this step.

        Args:
            speeds: peak FLOP/s by dtype and ``bytes_per_s``; ``None`` if no time is wanted.
        """
        size = -(-self.asked_bytes // self.block_bytes) * self.block_bytes
        alive = self.alive_at_peak(size)
        parts = {part: int(size[alive & (self.parts == index)].sum()) for index, part in enumerate(PARTS)}
        parts["temporaries"] += self.workspace_bytes
        groups = np.array(self.groups)
        return StepCost(
            peak_memory_bytes=sum(parts.values()),
            memory_by_part_bytes=parts,
            flops=int(self.flops.sum()),
            flops_by_group={group: int(self.flops[groups == group].sum()) for group in GROUPS},
            operator_calls=len(groups),
            roofline_s=None if speeds is None else self.roofline_s(speeds),
        )

    def alive_at_peak(self, size: Column) -> npt.NDArray[np.bool_]:
        """Whether each allocation is alive at the first highest moment: the beginning, or after an allocation."""
        numbers = np.arange(len(size))
        freed = np.bincount(self.freed, size, len(size) + 1)[: len(size)].astype(np.int64)
        levels = np.concatenate([[size[: self.before].sum()], np.cumsum(size - freed)[self.before :]])
        highest = int(np.argmax(levels))
        if highest == 0:
            return numbers < self.before
        moment = self.before + highest - 1
        return (numbers <= moment) & (self.freed > moment)

    def roofline_s(self, speeds: Mapping[str, float]) -> float:
        """The seconds at the peak rates of a GPU: for each operator the longer one of computing and moving, summed."""
        rates = np.array([speeds.get(dtype) or speeds["float32"] for dtype in self.dtypes])
        return float(np.maximum(self.flops / rates, self.moved_bytes / speeds["bytes_per_s"]).sum())


@dataclass(frozen=True)
class Growth:
    """The step of one setting at all batch sizes between two dry runs.

    Attributes:
        first: the smaller batch size.
        last: the larger one.
        least: the trace of the smaller one.
        most: the trace of the larger one.
    """

    first: int
    last: int
    least: Trace
    most: Trace

    @classmethod
    def between(cls, traces: Mapping[int, Trace]) -> "Growth | None":
        """The growth between the smallest and the largest batch size; ``None`` if the two steps are not alike.

        Args:
            traces: the traces by batch size.
        """
        first, last = min(traces, default=0), max(traces, default=0)
        if first == last:
            return None
        least, most = traces[first], traces[last]
        if not least.like(most):
            return None
        columns = ((getattr(least, name), getattr(most, name)) for name in GROWING)
        whole = all(not ((high - low) % (last - first)).any() for low, high in columns)
        return cls(first, last, least, most) if whole else None

    def trace(self, batch_size: int) -> Trace:
        """The trace of the step with a batch size."""
        grown = {}
        for name in GROWING:
            low, high = getattr(self.least, name), getattr(self.most, name)
            grown[name] = low + (batch_size - self.first) * ((high - low) // (self.last - self.first))
        size, inputs = grown.pop("tensor_bytes"), grown.pop("inputs")
        return replace(self.least, asked_bytes=size, **grown).with_inputs(inputs)
