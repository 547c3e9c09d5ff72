"""Chooses the kernel of attention as CUDA does, by torch's version and the card's capability; pure functions.

The conditions are those of ``aten/src/ATen/native/transformers/cuda/sdp_utils.cpp``. For torch 2.11, 2.13 and 2.14
they were compared with torch's own choice on emulated cards (``python -m benchmarks.attention_kernels``, whose tables
a test reads). 2.12 is assumed to choose as 2.11 does, and older versions as documented; neither was checked.
"""

from dataclasses import dataclass
from math import floor

from perfgate.actor.dry_run.rounding import up

Version = tuple[int, ...]
Capability = tuple[int, int]

HALF = ("float16", "bfloat16")
PREFERS_CUDNN_SINCE = (2, 11)  # release notes; with a cuDNN newer than 9.15, which its builds for CUDA 13 bring
# cuDNN takes dropout only in sixteenths; later also wide heads on 10.x, fewer of them backward, and no decoding there.
SIXTEENTHS_SINCE = (2, 13)
CUDNN_AS_NOW_SINCE = (2, 14)
GROUPED_EFFICIENT_SINCE = (2, 14)


@dataclass(frozen=True)
class Asked:
    """The facts that decide on the kernel.

    Attributes:
        dtype: the type of query, key and value, after autocast.
        width: the width of a head.
        query_length: the number of tokens of the query.
        key_length: the number of tokens of the keys.
        masked: whether there is a mask.
        mask_strided: whether neighbours in the mask's last dimension lie apart in memory.
        mask_trained: whether the mask wants a gradient.
        causal: whether ``is_causal`` is set.
        grouped: whether there are fewer heads of keys than of queries.
        trained: whether query, key or value want a gradient.
        dropout: the probability of dropout.
    """

    dtype: str
    width: int
    query_length: int
    key_length: int
    masked: bool = False
    mask_strided: bool = False
    mask_trained: bool = False
    causal: bool = False
    grouped: bool = False
    trained: bool = False
    dropout: float = 0.0


def choose_attention(asked: Asked, version: Version, capability: Capability, only: str = "") -> str:
    """Choose ``cudnn``, ``flash``, ``efficient`` or ``math``: the first one that can compute the attention.

    Args:
        asked: the facts about the attention.
        version: the major and minor number of torch.
        capability: the card's compute capability.
        only: the only kernel that is allowed, or ``""`` for all.

    Raises:
        NotImplementedError: the only allowed kernel cannot compute this.
    """
    able = {
        "cudnn": takes_cudnn(asked, version, capability) and (bool(only) or prefers_cudnn(version, capability)),
        "flash": takes_flash(asked, capability),
        "efficient": takes_efficient(asked, version, capability),
        "math": True,
    }
    for kind, is_able in able.items():
        if is_able and only in ("", kind):
            return kind
    raise NotImplementedError(f"CUDA's {only} attention does not support these heads, this mask or this precision")


def prefers_cudnn(version: Version, capability: Capability) -> bool:
    """Whether torch asks cuDNN first; otherwise the other kernels can compute everything that cuDNN can."""
    return version >= PREFERS_CUDNN_SINCE and capability[0] in (9, 10)


def takes_cudnn(asked: Asked, version: Version, capability: Capability) -> bool:
    """Whether cuDNN can compute it."""
    decoding = asked.query_length == 1
    sixteenths = asked.dropout * 16 == floor(asked.dropout * 16)
    return (
        capability >= (8, 0)
        and asked.dtype in HALF
        and asked.width % 8 == 0
        and fits_cudnn(asked, version, capability)
        and asked.key_length != 1
        and not asked.mask_trained
        and not asked.mask_strided
        and (sixteenths or version < SIXTEENTHS_SINCE)
        and not (decoding and asked.dropout > 0)
        and not (decoding and capability[0] in (10, 11) and version >= CUDNN_AS_NOW_SINCE)
    )


def fits_cudnn(asked: Asked, version: Version, capability: Capability) -> bool:
    """Whether heads are narrow enough for cuDNN."""
    if version < CUDNN_AS_NOW_SINCE:
        return asked.width <= (256 if capability == (9, 0) else 128)
    # In backward, heads may have up to 128 numbers, or exactly 256.
    wide = capability == (9, 0) or capability[0] == 10
    return asked.width <= 128 or (wide and (asked.width == 256 if asked.trained else asked.width <= 256))


def takes_flash(asked: Asked, capability: Capability) -> bool:
    """Whether flash attention can compute it."""
    small_memory = capability in ((8, 6), (8, 7), (8, 9)) or capability[0] == 12
    backward = asked.width <= 192 or (asked.width > 224 and not asked.dropout)
    return (
        capability >= (8, 0)
        and asked.dtype in HALF
        and not asked.masked
        and asked.width <= 256
        and not (asked.causal and asked.query_length != asked.key_length)
        and (backward or not (small_memory and asked.trained))
    )


def takes_efficient(asked: Asked, version: Version, capability: Capability) -> bool:
    """Whether memory-efficient attention can compute it."""
    if asked.dtype == "bfloat16" and capability < (8, 0):
        return False
    if asked.mask_strided or (asked.grouped and version < GROUPED_EFFICIENT_SINCE):
        return False
    half = asked.dtype in HALF
    aligned = (8 if half else 4) if capability >= (8, 0) else (8 if half and capability >= (7, 0) else 1)
    return asked.width % aligned == 0


def scratch_bytes(operator: str, query: tuple[int, ...], key: tuple[int, ...], item_bytes: int) -> int:
    """The temporary bytes of a backward pass of attention, besides its results.

    All kernels sum the gradient of the query in 32 bits, and hold gradients of keys and values for each head of the
    query before they sum them by group.

    Args:
        operator: name of the operator without its namespace.
        query: shape, (batch, heads, tokens, width).
        key: shape.
        item_bytes: bytes of a number.
    """
    if "attention_backward" not in operator:
        return 0
    batch, heads, tokens, width = query
    if "flash" in operator:
        tokens, width = up(tokens, 128), up(width, 32)
    elif "efficient" in operator:
        tokens, width = up(tokens, 64), up(width, 64)
    summed = 4 * batch * heads * tokens * (width + 1)
    grouped = 2 * item_bytes * batch * heads * key[-2] * key[-1] if key[1] != heads else 0
    return summed + grouped
