"""Replaces functions of the CPU by CUDA's on fake CPU tensors: dropout, attention, RMS norm, mixed precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

from perfgate.actor.dry_run import cuda_norms
from perfgate.actor.dry_run.cuda_attention import Asked, choose_attention
from perfgate.actor.dry_run.cuda_autocast import in_float32, runs_in_float32, with_float32
from perfgate.actor.dry_run.cuda_softmax import widening

ATTEND, DROP = functional.scaled_dot_product_attention, functional.dropout
# ``pad_last_dim`` and ``pad_bias`` in ``aten/src/ATen/native/transformers/attention.cpp``.
FLASH_WIDTH, BIAS_WIDTH = 8, 8


class CudaFunctions(TorchFunctionMode):
    """Intercepts functions that Python calls, and calls the operator that CUDA would choose."""

    def __init__(self, capability: tuple[int, int]) -> None:
        super().__init__()
        self._capability = capability
        major, minor = torch.__version__.split(".")[:2]
        self._version = int(major), int(minor)
        self.kernel = ""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, or the one that CUDA runs in its place."""
        kwargs = kwargs or {}
        if func in (DROP, torch.dropout):
            return dropout(*args, **kwargs)
        if func is ATTEND:
            return self.attention(*args, **kwargs)
        if func is functional.multi_head_attention_forward:
            with self.inside():
                return func(*args, **kwargs)
        if func in (functional.rms_norm, torch.rms_norm):
            return self.rms_norm(*args, **kwargs)
        if func in (functional.group_norm, torch.group_norm):
            args, kwargs = with_channels_first(args, kwargs)
        # Also in a backward pass that recomputes a checkpointed layer, which enters autocast again by itself.
        if torch.is_autocast_enabled("cpu") and runs_in_float32(func, kwargs):
            args, kwargs = with_float32(func, args, kwargs)
            with torch.autocast("cpu", enabled=False):
                return called(func, args, kwargs)
        return called(func, args, kwargs)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Replace functions that torch's own functions look up by module, because this mode is off inside of them."""
        functional.scaled_dot_product_attention, functional.dropout = self.attention, dropout
        try:
            yield
        finally:
            functional.scaled_dot_product_attention, functional.dropout = ATTEND, DROP

    def rms_norm(self, input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
        """Compute RMS norm with the operators that CUDA would choose."""
        if torch.is_autocast_enabled("cpu") and self._version >= cuda_norms.IN_FLOAT32_SINCE:
            input, weight = in_float32(input), in_float32(weight)
        return cuda_norms.rms_norm(self._version, input, normalized_shape, weight, eps)

    def attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Any:
        """Compute attention with the kernel that CUDA would choose."""
        if torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
            query, key, value = (part.to(dtype) for part in (query, key, value))
            attn_mask = attn_mask if attn_mask is None or attn_mask.dtype == torch.bool else attn_mask.to(dtype)
        asked = asked_of(query, key, value, attn_mask, dropout_p, is_causal)
        kind = choose_attention(asked, self._version, self._capability, self.kernel)
        with torch.autocast("cpu", enabled=False):
            if kind == "math" and dropout_p:
                return by_math(query, key, value, attn_mask, dropout_p, is_causal, scale)
            if kind == "math":
                with sdpa_kernel(SDPBackend.MATH):
                    return ATTEND(
                        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
                    )
            if kind == "flash":
                width = query.shape[-1]
                wide = [widened(part, -width % FLASH_WIDTH) for part in (query, key, value)]
                found = torch.ops.aten._scaled_dot_product_flash_attention(
                    *wide, dropout_p, is_causal, False, scale=scale or width**-0.5
                )[0]
                return found if found.shape[-1] == width else found[..., :width]
            bias = as_bias(attn_mask, query)
            if kind == "cudnn":
                return torch.ops.aten._scaled_dot_product_cudnn_attention(
                    query, key, value, bias, asked.trained, dropout_p, is_causal, False, scale=scale
                )[0]
            return torch.ops.aten._scaled_dot_product_efficient_attention(
                query, key, value, aligned(bias), asked.trained, dropout_p, is_causal, scale=scale
            )[0]


def with_channels_first(args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments of group norm with its input laid out with the channels first, as CUDA copies it; so is its result.

    The copy takes the place of the input among what the backward pass needs, which is as large.
    """
    if args:
        return (args[0].contiguous(), *args[1:]), kwargs
    return args, {**kwargs, "input": kwargs["input"].contiguous()}


def called(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Call a function, or the operator that CUDA uses for this call."""
    found = widening(func, args, kwargs)
    return func(*args, **kwargs) if found is None else found


def by_math(query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool, scale: float | None) -> Any:
    """Attention with dropout by matrix products, in 32 bits; the CPU's own keeps a mask of numbers, not of bytes.

    In the order of ``_scaled_dot_product_attention_math`` in ``aten/src/ATen/native/transformers/attention.cpp``.
    """
    given, factor = query.dtype, (scale or query.shape[-1] ** -0.5) ** 0.5
    if is_causal:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool).tril()
    bias = as_bias(mask, query)
    query, key, value = (in_float32(part) for part in (query, key, value))
    if (groups := query.shape[-3] // key.shape[-3]) > 1:
        key, value = (part.repeat_interleave(groups, -3) for part in (key, value))
    scores = torch.matmul(query * factor, key.transpose(-2, -1) * factor)
    shares = torch._safe_softmax(scores if bias is None else scores.add_(bias), -1)
    found = torch.matmul(dropout(shares, dropout_p), value).to(given)
    shares.to(given)  # a second result, which is dropped
    return found


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Apply dropout as CUDA's fused kernel does, with a mask of one byte for each element; in place it has none."""
    if inplace:
        return DROP(input, p, training, inplace)
    return torch.native_dropout(input, p, True)[0] if training and 0 < p < 1 else input


def asked_of(query: Any, key: Any, value: Any, mask: Any, dropout_p: float, is_causal: bool) -> Asked:
    """The facts for choosing the kernel of attention, from its arguments."""
    trained = torch.is_grad_enabled()
    return Asked(
        dtype=str(query.dtype).rpartition(".")[2],
        width=query.shape[-1],
        query_length=query.shape[-2],
        key_length=key.shape[-2],
        masked=mask is not None,
        mask_strided=mask is not None and mask.stride(-1) != 1,
        mask_trained=trained and mask is not None and mask.requires_grad,
        causal=is_causal,
        grouped=query.dim() > 3 and query.shape[-3] != key.shape[-3],
        trained=trained and any(part.requires_grad for part in (query, key, value)),
        dropout=dropout_p,
    )


def as_bias(mask: Any, query: Any) -> Any:
    """Convert a mask to the form of the kernels: numbers that are added to the scores."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.where(mask, *(torch.scalar_tensor(number, dtype=query.dtype) for number in (0.0, float("-inf"))))


def aligned(bias: Any) -> Any:
    """A mask as the memory-efficient kernel reads it: rows begin at multiples of 8 numbers, if need be in a copy."""
    if bias is None or (bias.stride(-1) == 1 and not any(step % BIAS_WIDTH for step in bias.stride()[:-1])):
        return bias
    length = bias.shape[-1]
    return widened(bias, BIAS_WIDTH - length % BIAS_WIDTH)[..., :length]


def widened(part: Any, count: int) -> Any:
    """A tensor with this many zeros at the end of each row; itself if there are none to add."""
    return functional.pad(part, (0, count)) if count else part
