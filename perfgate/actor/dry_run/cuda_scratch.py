"""The temporary bytes of CUDA's kernels, besides their results."""

from typing import Any

import torch

from perfgate.actor.dry_run import cuda_attention
from perfgate.actor.dry_run.cuda_convolutions import workspace_bytes
from perfgate.shared.cuda_reductions import Reduction

SUMS = {"sum", "mean"}
NORMS = {"native_layer_norm", "native_layer_norm_backward", "_fused_rms_norm", "_fused_rms_norm_backward"}


def scratch_bytes(operator: str, arguments: Any, result: Any, capability: tuple[int, int]) -> int:
    """The temporary bytes of norms, convolutions, and the backward passes of softmax and attention.

    Softmax's arguments are a gradient and the result of the forward pass, attention's a gradient, query and key.
    """
    if operator == "_softmax_backward_data":
        gradient, output = arguments[:2]
        return int(gradient.numel()) * torch.promote_types(gradient.dtype, output.dtype).itemsize
    if operator in NORMS:
        return sum(map(copied_bytes, arguments))
    if operator == "convolution":
        value, weight = arguments[:2]
        return convolution_bytes(value, weight, result, arguments[8], capability)
    if operator == "convolution_backward":
        gradient, value, weight = arguments[:3]
        return convolution_bytes(value, weight, gradient, arguments[9], capability)
    if "attention_backward" not in operator or "for_cpu" in operator:
        return 0
    gradient, query, key = arguments[:3]
    copied = sum(map(copied_tokens, (gradient, arguments[4]))) if "flash" in operator else 0
    return copied + cuda_attention.scratch_bytes(operator, tuple(query.shape), tuple(key.shape), query.element_size())


def copied_tokens(tensor: Any) -> int:
    """The bytes of the copy that flash attention makes of a gradient or result whose tokens lie apart in memory."""
    return 0 if tensor.transpose(1, 2).is_contiguous() else tensor.nbytes


def reduction(operator: str, arguments: Any, capability: tuple[int, int]) -> Reduction | None:
    """The operator as a sum or mean over some dimensions, or over all; ``None`` for other operators."""
    if operator not in SUMS:
        return None
    value = arguments[0]
    dimensions = arguments[1] if len(arguments) > 1 else ()
    reduced = [place % value.dim() for place in dimensions or ()] or range(value.dim())
    item_bytes = max(4, value.element_size()) if value.is_floating_point() else 8
    return Reduction(tuple(value.shape), value.stride(), tuple(reduced), item_bytes, capability)


def convolution_bytes(value: Any, weight: Any, result: Any, groups: int, capability: tuple[int, int]) -> int:
    """The temporary bytes of a convolution of these tensors; 0 if it has groups, because then nothing is known."""
    if groups != 1:
        return 0
    last = any(lies_last(tensor) for tensor in (value, weight))
    dtype = str(value.dtype).removeprefix("torch.")
    return workspace_bytes(dtype, last, value.shape, weight.shape, result.shape, capability)


def lies_last(tensor: Any) -> bool:
    """Whether the channels of a picture's tensor are last in memory, and not also first."""
    return tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)


def copied_bytes(argument: Any) -> int:
    """The bytes of the copy that a norm makes of a tensor whose rows are not contiguous."""
    return argument.nbytes if isinstance(argument, torch.Tensor) and not argument.is_contiguous() else 0
