"""RMS norm as on CUDA: one kernel in the forward pass and one in the backward pass, which the CPU does not have.

On fake CPU tensors torch's own operators are decomposed as on a CPU, so these have the same names in a namespace of
their own. Their results are as large as CUDA's, and their values are right.
"""

from typing import Any

import torch

from perfgate.actor.dry_run.cuda_scratch import lies_last

FUSED_SINCE = (2, 9)  # https://github.com/pytorch/pytorch/pull/153666, after the branch of 2.8 was cut
IN_FLOAT32_SINCE = (2, 12)  # under autocast, https://github.com/pytorch/pytorch/pull/174824
NAMESPACE = "perfgate_cuda"
LIBRARY = torch.library.Library(NAMESPACE, "DEF")
LIBRARY.define("_fused_rms_norm(Tensor input, int[] shape, Tensor? weight, float? eps) -> (Tensor, Tensor)")
LIBRARY.define(
    "_fused_rms_norm_backward(Tensor gradient, Tensor input, int[] shape, Tensor rstd, Tensor? weight, bool[2] mask)"
    " -> (Tensor, Tensor)"
)
OPERATORS = getattr(torch.ops, NAMESPACE)


def rms_norm(version: tuple[int, int], input: Any, normalized_shape: Any, weight: Any = None, eps: Any = None) -> Any:
    """Compute RMS norm with the operators that CUDA would choose under a version of torch."""
    if not is_fused(version, input, normalized_shape, weight):
        return torch.rms_norm(input, normalized_shape, weight, eps)
    return OPERATORS._fused_rms_norm(input, normalized_shape, weight, eps)[0]


def is_fused(version: tuple[int, int], input: Any, shape: Any, weight: Any) -> bool:
    """Whether CUDA has one kernel for it; shapes that torch refuses are left to torch.

    In the order of ``rms_norm_symint`` in ``aten/src/ATen/native/layer_norm.cpp``.
    """
    if version < FUSED_SINCE or not shape or tuple(input.shape[-len(shape) :]) != tuple(shape):
        return False
    if lies_last(input) or not input.is_floating_point():
        return False
    return weight is None or (weight.dtype == input.dtype and tuple(weight.shape) == tuple(shape))


def axes_of(input: Any, shape: Any) -> tuple[list[int], list[int]]:
    """The dimensions of the rows, and those over which each row is normalized."""
    rows = input.dim() - len(shape)
    return list(range(rows)), list(range(rows, input.dim()))


def widened(dtype: torch.dtype) -> torch.dtype:
    """The type in which CUDA adds up numbers."""
    return torch.promote_types(dtype, torch.float32)


def forward_like(input: Any, shape: Any, weight: Any, eps: Any) -> Any:
    """Empty results of the forward pass: the normalized tensor, and one factor for each row."""
    del weight, eps
    rows = input.shape[: input.dim() - len(shape)]
    return (
        torch.empty(input.shape, dtype=input.dtype, device=input.device),
        torch.empty((*rows, *(1 for _ in shape)), dtype=widened(input.dtype), device=input.device),
    )


def forward_values(input: Any, shape: Any, weight: Any, eps: Any) -> Any:
    """Results of the forward pass, for tensors whose values are known."""
    wide = input.to(widened(input.dtype))
    least = torch.finfo(wide.dtype).eps if eps is None else eps
    rstd = wide.square().mean(axes_of(input, shape)[1], keepdim=True).add(least).rsqrt()
    found = wide * rstd if weight is None else wide * rstd * weight
    return found.to(input.dtype).contiguous(), rstd.contiguous()


def backward_like(gradient: Any, input: Any, shape: Any, rstd: Any, weight: Any, mask: Any) -> Any:
    """Empty gradients of input and weight; ``None`` for a gradient that is not wanted."""
    del gradient, shape, rstd
    return tuple(
        torch.empty(of.shape, dtype=of.dtype, device=of.device) if asked else None
        for of, asked in zip((input, weight), mask, strict=True)
    )


def backward_values(gradient: Any, input: Any, shape: Any, rstd: Any, weight: Any, mask: Any) -> Any:
    """Gradients of input and weight."""
    found = written_out(gradient, None, input, shape, rstd, weight, mask)
    return tuple(part if part is None else part.to(of.dtype) for part, of in zip(found, (input, weight), strict=True))


def written_out(gradient: Any, inner: Any, input: Any, shape: Any, rstd: Any, weight: Any, mask: Any) -> Any:
    """The same, written out in operators that have gradients; ``inner`` is each row factor's gradient, if any."""
    rows, columns = axes_of(input, shape)
    gradient = torch.zeros_like(input) if gradient is None else gradient
    by_input = by_weight = None
    if mask[0]:
        scaled = gradient if weight is None else gradient * weight
        along = (input * scaled).sum(columns, keepdim=True)
        along = along if inner is None else along + inner
        by_input = rstd * scaled - input * rstd.pow(3) * along / input.shape[len(rows) :].numel()
    if mask[1]:
        by_weight = (gradient * input * rstd).sum_to_size(weight.shape)
    return by_input, by_weight


def keep(ctx: Any, inputs: Any, output: Any) -> None:
    """Save what the backward pass needs."""
    input, ctx.shape, weight, _ = inputs
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(input, weight, output[1])


def backward(ctx: Any, gradient: Any, inner: Any) -> Any:
    """The backward pass: one operator, or several if gradients of gradients are wanted."""
    input, weight, rstd = ctx.saved_tensors
    mask = [ctx.needs_input_grad[0], ctx.needs_input_grad[2]]
    if torch.is_grad_enabled() or inner is not None:
        by_input, by_weight = written_out(gradient, inner, input, ctx.shape, rstd, weight, mask)
    else:
        by_input, by_weight = OPERATORS._fused_rms_norm_backward(gradient, input, ctx.shape, rstd, weight, mask)
    return by_input, None, by_weight, None


LIBRARY.impl("_fused_rms_norm", forward_like, "Meta")
LIBRARY.impl("_fused_rms_norm", forward_values, "CPU")
LIBRARY.impl("_fused_rms_norm_backward", backward_like, "Meta")
LIBRARY.impl("_fused_rms_norm_backward", backward_values, "CPU")
torch.library.register_autograd(f"{NAMESPACE}::_fused_rms_norm", backward, setup_context=keep, lib=LIBRARY)
