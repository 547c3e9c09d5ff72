"""CUDA's own functions in place of the CPU's, on fake CPU tensors: dropout, attention and mixed precision."""

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
    """Puts CUDA's choice of operator in place of the CPU's, where Python calls it."""

    def __init__(self, capability: tuple[int, int]) -> None:
        super().__init__()
        self._flash = capability >= (8, 0)
        self._mixed = False
        self.kernel = ""

    @contextmanager
    def mixed(self) -> Iterator[None]:
        """Within: CUDA's list of functions that autocast runs in float32."""
        before, self._mixed = self._mixed, True
        try:
            yield
        finally:
            self._mixed = before

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Exchange what CUDA does otherwise."""
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
        """Attention by the kernel that CUDA would choose."""
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
    """CUDA's fused dropout: the result and a mask of one byte an element."""
    del inplace
    return torch.native_dropout(input, p, True)[0] if training and 0 < p < 1 else input


def choose_attention(query: Any, key: Any, mask: Any, grouped: bool, flash: bool, only: str = "") -> str:
    """``flash``, ``efficient`` or ``math``, in the order of preference and by the conditions of sdp_utils.cpp.

    Args:
        query: with heads and their width last but two and last.
        key: the same.
        mask: if there is one.
        grouped: whether there may be fewer keys than queries.
        flash: whether the GPU has it.
        only: the kernel that is allowed; empty for all.

    Raises:
        NotImplementedError: the only one that is allowed cannot be had.
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
    raise NotImplementedError(f"CUDA's {only} attention takes no such heads, mask or precision")


def as_bias(mask: Any, query: Any) -> Any:
    """A mask as the memory-efficient kernel takes it: added to the scores, in their type."""
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask.logical_not(), float("-inf"))


def in_float32(value: Any) -> Any:
    """A tensor of 16 bits in float32, anything else as it is."""
    low = isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if low else value
