"""Replaces functions of the CPU by those of CUDA on fake CPU tensors: dropout, attention and mixed precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.overrides import TorchFunctionMode

FLOAT32_NAMES = [
    "__pow__", "__rdiv__", "__rpow__", "__rtruediv__", "acos", "asin", "binary_cross_entropy_with_logits", "cdist",
    "cosh", "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "cumprod", "cumsum", "dist", "erfinv",
    "exp", "expm1", "group_norm", "hinge_embedding_loss", "kl_div", "l1_loss", "layer_norm", "log", "log10",
    "log1p", "log2", "log_softmax", "margin_ranking_loss", "mse_loss", "multi_margin_loss",
    "multilabel_margin_loss", "nll_loss", "norm", "normalize", "pdist", "poisson_nll_loss", "pow", "prod",
    "reciprocal", "renorm", "rsqrt", "sinh", "smooth_l1_loss", "soft_margin_loss", "softmax", "softmin", "softplus",
    "sum", "tan", "triplet_margin_loss",
]  # fmt: skip
FLOAT32_FUNCTIONS = {
    getattr(place, name)
    for place in (torch, torch.Tensor, functional)
    for name in FLOAT32_NAMES
    if hasattr(place, name)
}


class CudaFunctions(TorchFunctionMode):
    """Intercepts functions that Python calls, and calls the operator that CUDA would choose."""

    def __init__(self, capability: tuple[int, int]) -> None:
        super().__init__()
        self._flash = capability >= (8, 0)
        self._mixed = False
        self.kernel = ""

    @contextmanager
    def mixed(self) -> Iterator[None]:
        """Within the block, run functions in float32 that CUDA's autocast runs in float32."""
        before, self._mixed = self._mixed, True
        try:
            yield
        finally:
            self._mixed = before

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function, or the one that CUDA runs in its place."""
        kwargs = kwargs or {}
        if func in (functional.dropout, torch.dropout):
            return dropout(*args, **kwargs)
        if func is functional.scaled_dot_product_attention:
            return self.attention(*args, **kwargs)
        if self._mixed and func in FLOAT32_FUNCTIONS and torch.is_autocast_enabled("cpu"):
            args = [in_float32(value) for value in args]
            kwargs = {name: in_float32(value) for name, value in kwargs.items()}
            with torch.autocast("cpu", enabled=False):
                return func(*args, **kwargs)
        return func(*args, **kwargs)

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
        kind = choose_attention(query, key, attn_mask, enable_gqa, self._flash, self.kernel)
        with torch.autocast("cpu", enabled=False):
            if kind == "math":
                with sdpa_kernel(SDPBackend.MATH):
                    return functional.scaled_dot_product_attention(
                        query, key, value, attn_mask, dropout_p, is_causal, scale=scale, enable_gqa=enable_gqa
                    )
            training = any(part.requires_grad for part in (query, key, value)) and torch.is_grad_enabled()
            if kind == "flash":
                return torch.ops.aten._scaled_dot_product_flash_attention(
                    query, key, value, dropout_p, is_causal, False, scale=scale
                )[0]
            bias = as_bias(attn_mask, query)
            return torch.ops.aten._scaled_dot_product_efficient_attention(
                query, key, value, bias, training, dropout_p, is_causal, scale=scale
            )[0]


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Apply dropout as CUDA's fused kernel does, which keeps a mask of one byte for each element."""
    del inplace
    return torch.native_dropout(input, p, True)[0] if training and 0 < p < 1 else input


def choose_attention(query: Any, key: Any, mask: Any, grouped: bool, flash: bool, only: str = "") -> str:
    """Choose ``flash``, ``efficient`` or ``math``, by the conditions in sdp_utils.cpp and in its order of preference.

    Args:
        query: a tensor of shape (..., heads, tokens, width).
        key: a tensor of shape (..., heads, tokens, width).
        mask: the attention mask, or ``None``.
        grouped: whether there may be fewer heads of keys than of queries.
        flash: whether the GPU supports flash attention.
        only: the only kernel that is allowed, or ``""`` for all.

    Raises:
        NotImplementedError: the only allowed kernel cannot compute this.
    """
    width = query.shape[-1]
    half = query.dtype in (torch.float16, torch.bfloat16)
    grouped = grouped and query.shape[-3] != key.shape[-3]
    able = {
        "flash": flash and half and mask is None and width <= 256,
        "efficient": not grouped and width % (8 if half else 4) == 0,
        "math": True,
    }
    for kind, is_able in able.items():
        if is_able and only in ("", kind):
            return kind
    raise NotImplementedError(f"CUDA's {only} attention does not support these heads, this mask or this precision")


def as_bias(mask: Any, query: Any) -> Any:
    """Convert a mask to the form of the memory-efficient kernel: numbers that are added to the scores."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask.logical_not(), float("-inf"))


def in_float32(value: Any) -> Any:
    """Convert a tensor of 16 bits to float32; return anything else unchanged."""
    low = isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if low else value
