"""The functions that CUDA's automatic mixed precision runs in float32, and how their arguments get there."""

from typing import Any

import torch
from torch.nn import functional

# Functions whose arguments are converted.
CONVERTED_NAMES = [
    "__pow__", "__rdiv__", "__rpow__", "__rtruediv__", "acos", "asin", "binary_cross_entropy_with_logits", "cdist",
    "cosh", "cosine_embedding_loss", "cosine_similarity", "cross_entropy", "dist", "erfinv", "exp", "expm1",
    "group_norm", "hinge_embedding_loss", "huber_loss", "interpolate", "kl_div", "l1_loss", "layer_norm", "log",
    "log10", "log1p", "log2", "logsumexp", "margin_ranking_loss", "mse_loss", "multi_margin_loss",
    "multilabel_margin_loss", "nll_loss", "normalize", "pdist", "poisson_nll_loss", "pow", "reciprocal", "renorm",
    "rsqrt", "sinh", "smooth_l1_loss", "soft_margin_loss", "softmin", "softplus", "tan", "triplet_margin_loss",
]  # fmt: skip
# Functions that are told to return 32 bits, so that their arguments of 16 bits are not copied.
ASKED_NAMES = ["cumprod", "cumsum", "log_softmax", "norm", "prod", "softmax", "sum"]
PLACES = (torch, torch.Tensor, functional)
CONVERTED = {getattr(place, name) for place in PLACES for name in CONVERTED_NAMES if hasattr(place, name)}
ASKED = {getattr(place, name) for place in PLACES for name in ASKED_NAMES if hasattr(place, name)}
LOW = (torch.float16, torch.bfloat16)


def runs_in_float32(func: Any, kwargs: dict[str, Any]) -> bool:
    """Whether CUDA's autocast converts for a function where the CPU's does not; for pictures only in means of areas."""
    return func in ASKED or (func in CONVERTED and kwargs.get("mode") != "area")


def with_float32(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The arguments that autocast passes to such a function."""
    if func in CONVERTED:
        return [in_float32(value) for value in args], {name: in_float32(value) for name, value in kwargs.items()}
    low = isinstance(given := args[0] if args else kwargs.get("input"), torch.Tensor) and given.dtype in LOW
    decided = kwargs.get("dtype") is not None or any(isinstance(value, torch.dtype) for value in args)
    return args, kwargs if decided or not low else kwargs | {"dtype": torch.float32}


def in_float32(value: Any) -> Any:
    """Convert a tensor of 16 bits to float32; return anything else unchanged."""
    return value.float() if isinstance(value, torch.Tensor) and value.dtype in LOW else value
