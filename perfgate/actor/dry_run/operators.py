"""Classifies operators into groups, and counts their floating-point operations and the bytes they read and write.

Groups follow "Data Movement Is All You Need" (https://arxiv.org/abs/2007.00072): tensor contractions, statistical
normalizations (and other reductions), element-wise operators; ``other`` moves data without arithmetic.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from torch._library.custom_ops import OPDEFS
from torch.utils.flop_counter import flop_registry

from perfgate.actor.dry_run.known_values import name_of, tensors_of

aten = torch.ops.aten
GROUPS = ("contractions", "normalizations", "element-wise", "other")

# Floating-point operations for each element of the larger of input and output, by the usual algorithms.
NORMALIZATIONS = {
    "_softmax": 5,
    "_safe_softmax": 5,
    "_log_softmax": 5,
    "_softmax_backward_data": 4,
    "_log_softmax_backward_data": 4,
    "native_layer_norm": 7,
    "native_layer_norm_backward": 14,
    "native_group_norm": 7,
    "native_group_norm_backward": 14,
    "native_batch_norm": 7,
    "native_batch_norm_backward": 14,
    "_fused_rms_norm": 4,
    "_fused_rms_norm_backward": 8,
    "_foreach_norm": 2,
    "linalg_vector_norm": 2,
    "mean": 1,
    "sum": 1,
    "var": 3,
    "std": 3,
    "var_mean": 3,
    "amax": 1,
    "argmax": 1,
    "max": 1,
    "min": 1,
    "all": 1,
    "any": 1,
    "cumsum": 1,
    "logsumexp": 3,
    "nll_loss_forward": 1,
    "nll_loss_backward": 0,
    "topk": 1,
    "sort": 1,
}
OTHER = {
    "_to_copy", "_foreach_copy_", "_unsafe_view", "arange", "argsort", "bernoulli_", "cat", "clone", "constant_pad_nd",
    "copy_", "embedding", "embedding_dense_backward", "eye", "fill", "fill_", "full", "full_like", "gather", "index",
    "index_add_", "index_copy_", "index_put", "index_put_", "index_select", "lift_fresh_copy", "masked_fill",
    "masked_fill_", "new_full", "new_ones", "new_zeros", "nonzero", "normal_", "ones", "ones_like", "rand", "randn",
    "random_", "repeat", "repeat_interleave", "roll", "scalar_tensor", "scatter", "scatter_", "scatter_add",
    "select_backward", "select_scatter", "slice_backward", "slice_scatter", "stack", "tril", "triu", "unfold_backward",
    "uniform_", "where", "zero_", "zeros", "zeros_like", "_foreach_zero_", "_local_scalar_dense", "is_nonzero", "equal",
}  # fmt: skip
# These only allocate memory or make another view of it, so no kernel runs.
FREE = {
    "_reshape_alias", "alias", "detach", "detach_", "empty", "empty_like", "empty_permuted", "empty_strided",
    "lift_fresh", "new_empty", "new_empty_strided", "resize_", "set_", "sym_size", "sym_stride", "sym_numel",
    "_record_function_enter_new", "_record_function_exit",
}  # fmt: skip
# These read only the requested rows of their first input.
GATHERING = {"embedding", "gather", "index", "index_select"}
# These overwrite their first argument without reading it.
OVERWRITING = {
    "bernoulli_", "copy_", "fill_", "full_like", "normal_", "ones_like", "random_", "uniform_", "zero_", "zeros_like",
    "new_zeros", "new_ones", "new_full", "_foreach_zero_", "_foreach_copy_",
}  # fmt: skip


def attention_flops(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """FLOPs of the two matrix products of attention. Heads of keys are repeated for the heads of the query."""
    return 2 * query.shape[:-1].numel() * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def attention_backward_flops(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    """FLOPs of the five matrix products of attention's backward pass: three as wide as a query, two as a value."""
    del grad
    return 2 * query.shape[:-1].numel() * key.shape[-2] * (3 * query.shape[-1] + 2 * value.shape[-1])


def grouped_flops(first: Any, second: Any, *_: Any, **__: Any) -> int:
    """FLOPs of grouped matrix products, in which each group of rows is multiplied by a matrix of its own.

    With two flat matrices the result is one matrix for each group, and the formula is the same.
    """
    return 2 * int(first.shape[-2] * first.shape[-1] * second.shape[-1])


def addmm_flops(out: Any, left: Any, right: Any, **_: Any) -> int:
    """FLOPs of the product of two matrices that is added to a third."""
    del out
    return 2 * left.shape[0] * left.shape[1] * right.shape[1]


ATTENTIONS = ("flash_attention_for_cpu", "efficient_attention", "flash_attention", "cudnn_attention")
# torch's own table lacks the CPU's fused attention, in-place products and grouped products. That of torch 2.11 refuses
# attention in which several heads of the query share one of the keys.
CONTRACTIONS: dict[Any, Any] = {aten.addmm_: addmm_flops}
for kernel in ATTENTIONS:
    CONTRACTIONS[getattr(aten, f"_scaled_dot_product_{kernel}")] = attention_flops
    CONTRACTIONS[getattr(aten, f"_scaled_dot_product_{kernel}_backward")] = attention_backward_flops
if hasattr(aten, "_grouped_mm"):  # since torch 2.8
    CONTRACTIONS[aten._grouped_mm] = grouped_flops


@cache
def is_free(func: Any) -> bool:
    """Whether an operator runs no kernel, because it only makes a view or allocates memory."""
    return func.is_view or name_of(func) in FREE


@cache
def group_of(func: Any, in_normalization: bool) -> str:
    """The group of an operator. Element-wise arithmetic inside a normalization module counts as normalization."""
    packet, name = func._overloadpacket, name_of(func)
    if packet in flop_registry or packet in CONTRACTIONS:
        return "contractions"
    if name in NORMALIZATIONS:
        return "normalizations"
    if name in OTHER:
        return "other"
    return "normalizations" if in_normalization else "element-wise"


def flops_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any, group: str) -> int:
    """Floating-point operations: two for each multiply-add of a contraction, one for each element-wise result."""
    if group == "contractions":
        packet = func._overloadpacket
        if packet in CONTRACTIONS:
            return int(CONTRACTIONS[packet](*args, **kwargs))
        return int(flop_registry[packet](*args, **kwargs, out_val=out))
    if group == "other":
        return 0
    given = max(map(numbers_in, (*args, *kwargs.values())), default=0)
    if group == "normalizations" and name_of(func) in NORMALIZATIONS:
        # Layer norm and others return several results as a tuple. A list holds one result for each tensor of a list.
        produced = max(map(numbers_in, out if isinstance(out, tuple) else (out,)), default=0)
        return NORMALIZATIONS[name_of(func)] * max(produced, given)
    # In-place operators on lists return nothing, so their inputs are counted.
    return numbers_in(out) or given


def numbers_in(value: Any) -> int:
    """The number of floating-point elements in a tensor, or in all tensors of a list."""
    return sum(tensor.numel() for tensor in tensors_of(value) if tensor.dtype.is_floating_point)


def traffic_of(func: Any, given: Sequence[Any], written: Sequence[Any]) -> tuple[int, int]:
    """The bytes that an operator reads and writes. Each operand counts once, with the size that it has in memory.

    Args:
        func: the operator.
        given: all tensors among its arguments.
        written: all tensors that it returned, or else those that it wrote to.
    """
    name = name_of(func)
    written_bytes = sum(map(extent_bytes, written))
    inputs = given[1:] if name in OVERWRITING else given
    if name in GATHERING:
        return sum(map(extent_bytes, inputs[1:])) + written_bytes, written_bytes
    return sum(map(extent_bytes, inputs)), written_bytes


def extent_bytes(tensor: Any) -> int:
    """The bytes of a tensor's distinct elements; elements repeated by a stride of 0 count once."""
    size: int = tensor.element_size()
    for length, stride in zip(tensor.shape, tensor.stride(), strict=True):
        size *= 1 if stride == 0 and length else length
    return size


@cache
def multiplies(name: str) -> bool:
    """Whether a contraction is a library's matrix product; attention and convolutions have their own kernels."""
    return not any(other in name for other in ("attention", "conv", "grouped"))


@cache
def is_in_place_on_lists(name: str) -> bool:
    """Whether an operator changes the tensors of a list and returns nothing."""
    return name.startswith("_foreach_") and name.endswith("_")


@cache
def is_composite(func: Any) -> bool:
    """Whether an operator consists of others and has no kernel of its own. In inference mode these arrive undivided."""
    composite, kernel = (
        torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key) for key in ("CompositeImplicitAutograd", "CPU")
    )
    return bool(composite and not kernel)


@cache
def python_body(func: Any) -> Any:
    """The Python function that implements a custom operator; ``None`` for all other operators."""
    definition = OPDEFS.get(func.name())
    return None if definition is None else definition._init_fn
