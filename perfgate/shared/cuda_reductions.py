"""A sum or mean on CUDA, and its temporary bytes where several blocks of threads share a result.

They pass their shares on through memory, as many bytes as 8 times the elements of a tall matrix that is summed by
columns; so a bias's gradient needs them. The division is that of ``setReduceConfig`` in
``aten/src/ATen/native/cuda/Reduce.cuh``; ``tests/actor/reductions`` holds what torch takes on emulated cards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Self

THREADS, WARP, VECTOR = 512, 32, 4
FEWEST_VALUES, MOST_VALUES = 16, 256  # of a thread
COUNTER_BYTES = 4
# The multiprocessors of the largest common card of a capability, which the division depends on for large tensors.
MULTIPROCESSORS = {(7, 5): 40, (8, 0): 108, (8, 6): 84, (8, 9): 142, (9, 0): 132, (10, 0): 148, (12, 0): 170}
DEFAULT_MULTIPROCESSORS = 132
THREADS_OF_ONE = {(7, 5): 1024, (8, 6): 1536, (8, 9): 1536, (12, 0): 1536}
DEFAULT_THREADS_OF_ONE = 2048


@dataclass(frozen=True)
class Dimension:
    """Neighbouring dimensions of a tensor that are passed through as one.

    Attributes:
        size: the number of steps.
        stride: the elements from one step to the next.
    """

    size: int
    stride: int


@dataclass(frozen=True)
class Reduction:
    """A sum or mean over some dimensions of a tensor.

    Attributes:
        shape: the shape of the input.
        strides: its strides, in elements.
        reduced: the dimensions that are summed.
        sum_bytes: the bytes of a sum while it is computed.
        capability: the card's compute capability.
    """

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    reduced: tuple[int, ...]
    sum_bytes: int
    capability: tuple[int, int]

    @classmethod
    def from_json(
        cls, shape: list[int], strides: list[int], reduced: list[int], sum_bytes: int, card: list[int]
    ) -> Self:
        """Read a reduction; the card is given by its capability."""
        return cls(tuple(shape), tuple(strides), tuple(reduced), sum_bytes, (card[0], card[1]))

    @cached_property
    def scratch_bytes(self) -> int:
        """The temporary bytes; 0 if each result is computed by one block."""
        if not prod(self.shape):
            return 0
        inner, outer = (
            merged(self.shape, self.strides, [at for at in range(len(self.shape)) if (at in self.reduced) is inside])
            for inside in (True, False)
        )
        return shared_bytes(inner, outer, self.sum_bytes, self.capability)


def shared_bytes(
    inner: Sequence[Dimension], outer: Sequence[Dimension], sum_bytes: int, capability: tuple[int, int]
) -> int:
    """The bytes through which blocks of threads pass on their shares of the results.

    Args:
        inner: the dimensions that are summed, from the narrowest stride to the widest.
        outer: the others.
        sum_bytes: the bytes of a sum while it is computed.
        capability: the card's compute capability.
    """
    inputs, outputs = (prod(part.size for part in parts) for parts in (inner, outer))
    along = not outer or not inner or inner[0].stride < outer[0].stride
    first = (inner or outer or [Dimension(1, 1)])[0] if along else outer[0]
    wide, high = (inputs, outputs) if along else (outputs, inputs)
    vector = 1
    if first.stride == 1 and along and wide > 128 and len(inner) + len(outer) == 1:
        wide //= VECTOR
    elif first.stride == 1 and not along:
        vector = output_vector(inner, outer)
        wide //= vector
    width, height = block_of(wide, high, THREADS // vector)
    step_in, step_out = (width, 1) if along else (1, width)
    values = pieces(inputs, step_in)
    if values < min(height * 16, MOST_VALUES):
        return 0  # each thread of a column has results of its own, or the input is not divided further
    step_in *= height
    values = pieces(inputs, step_in)
    grid = pieces(outputs // vector, step_out)
    processors = MULTIPROCESSORS.get(capability, DEFAULT_MULTIPROCESSORS)
    wanted = processors * (THREADS_OF_ONE.get(capability, DEFAULT_THREADS_OF_ONE) // (width * height))
    if values < MOST_VALUES or grid > wanted:
        return 0
    shares = max(min(pieces(wanted, grid), pieces(values, FEWEST_VALUES)), pieces(values, MOST_VALUES))
    if shares < 2:
        return 0
    return sum_bytes * outputs * shares * (1 if along else width * vector) + COUNTER_BYTES * grid


def merged(shape: Sequence[int], strides: Sequence[int], places: Sequence[int]) -> list[Dimension]:
    """Dimensions from the narrowest stride to the widest, those that continue each other as one."""
    found: list[Dimension] = []
    for stride, size in sorted((strides[place], shape[place]) for place in places if shape[place] != 1):
        last = found[-1] if found else None
        if last and last.stride * last.size == stride:
            found[-1] = Dimension(last.size * size, last.stride)
        else:
            found.append(Dimension(size, stride))
    return found


def output_vector(inner: Sequence[Dimension], outer: Sequence[Dimension]) -> int:
    """The number of neighbouring results that a thread computes at once: 4, 2 or 1."""
    divided = [outer[0].size, *(part.stride for part in (*inner, *outer[1:]))]
    return next(count for count in (4, 2, 1) if not any(number % count for number in divided))


def block_of(wide: int, high: int, most: int) -> tuple[int, int]:
    """The width and height of a block of at most this many threads, as powers of two."""
    columns, rows = (min(power_below(size), most) for size in (wide, high))
    height = min(rows, most // min(columns, WARP))
    return min(columns, most // height), height


def pieces(count: int, size: int) -> int:
    """The number of pieces of at most this size."""
    return -(-count // size)


def power_below(size: int) -> int:
    """The largest power of two that is not above a size; 1 for smaller ones."""
    return 1 << max(size, 1).bit_length() - 1
