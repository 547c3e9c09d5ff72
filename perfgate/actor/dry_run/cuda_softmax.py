"""Softmax of float16 to float32, which is one kernel on CUDA: the CPU copies the scores to 32 bits first."""

from typing import Any

import torch
from torch.nn import functional

BY_INPUT = ("input", "dim", "dtype")
OF_LAYERS = ("input", "dim", "_stacklevel", "dtype")
# For each function the operator that it calls, and the names of its arguments in order.
SOFTMAXES = {
    functional.softmax: (torch._softmax, OF_LAYERS),
    torch.softmax: (torch._softmax, BY_INPUT),
    torch.special.softmax: (torch._softmax, BY_INPUT),
    torch.Tensor.softmax: (torch._softmax, BY_INPUT),
    functional.log_softmax: (torch._log_softmax, OF_LAYERS),
    torch.log_softmax: (torch._log_softmax, BY_INPUT),
    torch.special.log_softmax: (torch._log_softmax, BY_INPUT),
    torch.Tensor.log_softmax: (torch._log_softmax, BY_INPUT),
}


def widening(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """The result of a softmax from float16 to float32, which CUDA computes in one kernel; ``None`` for other calls.

    ``softmax`` in ``aten/src/ATen/native/SoftMax.cpp`` decides so; bfloat16 is copied on CUDA too.
    """
    if func not in SOFTMAXES:
        return None
    operator, names = SOFTMAXES[func]
    asked = dict(zip(names, args, strict=False)) | kwargs
    value, dim = asked.get("input"), asked.get("dim")
    if asked.get("dtype") != torch.float32 or dim is None or getattr(value, "dtype", None) != torch.float16:
        return None
    if hasattr(value, "_known_value"):  # with known values the CPU computes, and it cannot do this
        return None
    return operator(value, dim, True)
