"""How many bytes cuDNN takes beside its results while it computes a convolution.

Its kernels for tensor cores work on numbers whose channels lie last. A convolution whose channels lie first therefore
copies input, weights and result to that layout meanwhile, and so does its backward pass. Numbers of channels are filled
up to what the kernels can load at once. ``tests/actor/convolutions`` holds what torch asks cuDNN for on emulated cards.
"""

import math
from collections.abc import Sequence

from perfgate.actor.dry_run.rounding import up

Shape = Sequence[int]

CHANNELS = {"float16": 8, "bfloat16": 8, "float32": 4}  # that a kernel loads at once
ANY_CHANNELS_SINCE = (9, 0)  # in float32


def workspace_bytes(
    dtype: str, last: bool, value: Shape, weight: Shape, result: Shape, capability: tuple[int, int]
) -> int:
    """The bytes that a convolution without groups, or its backward pass, takes and gives back.

    Args:
        dtype: of the input.
        last: whether the channels of input or weights lie last.
        value: shape of the input, (batch, channels, ...).
        weight: shape of the weights, (channels, channels, ...).
        result: shape of the result, (batch, channels, ...).
        capability: of the card.
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
    """The numbers in a tensor whose channels are filled up to a multiple.

    Args:
        shape: of the tensor.
        unit: of the multiple.
        channels: how many of the first two sizes are channels: 1 if the first is a batch.
    """
    first = [up(size, unit) for size in shape[2 - channels : 2]]
    return math.prod([*shape[: 2 - channels], *first, *shape[2:]])
