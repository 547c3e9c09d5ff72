"""The temporary bytes of a convolution by cuDNN, besides its results.

Its kernels for tensor cores need the channels last in memory. A convolution with channels first therefore copies
input, weights and result to that layout, and so does its backward pass. The number of channels is rounded up to the
number that kernels load at once. ``tests/actor/convolutions`` holds what torch asks cuDNN for on emulated cards.
"""

import math
from collections.abc import Sequence

from perfgate.actor.dry_run.rounding import up

Shape = Sequence[int]

CHANNELS = {"float16": 8, "bfloat16": 8, "float32": 4}  # the number of channels that a kernel loads at once
ANY_CHANNELS_SINCE = (9, 0)  # for float32


def workspace_bytes(
    dtype: str, last: bool, value: Shape, weight: Shape, result: Shape, capability: tuple[int, int]
) -> int:
    """The temporary bytes of a convolution without groups, or of its backward pass.

    Args:
        dtype: the type of the input.
        last: whether the channels of input or weights lie last.
        value: shape of the input, (batch, channels, ...).
        weight: shape of the weights, (channels, channels, ...).
        result: shape of the result, (batch, channels, ...).
        capability: the card's compute capability.
    """
    if dtype not in CHANNELS or (capability < (8, 0) and (dtype != "float16" or last)):
        return 0
    wide = dtype == "float32"
    unit = 1 if wide and capability >= ANY_CHANNELS_SINCE else CHANNELS[dtype]
    copied = [filled(value, unit, 1), filled(weight, unit, 2), filled(result, unit, 1)]
    if last and wide:
        copied = copied[:2] if capability < ANY_CHANNELS_SINCE else []
    elif last:
        copied = copied[:2] if value[1] % unit else []
    return sum(copied) * (4 if wide else 2)


def filled(shape: Shape, unit: int, channels: int) -> int:
    """The number of elements of a tensor after its channels are rounded up to a multiple.

    Args:
        shape: the shape of the tensor.
        unit: the number of which channels become a multiple.
        channels: how many of the first two dimensions are channels: 1 if the first is a batch.
    """
    first = [up(size, unit) for size in shape[2 - channels : 2]]
    return math.prod([*shape[: 2 - channels], *first, *shape[2:]])
