"""Chooses the kernel of torch's ``scaled_dot_product_attention``, and reads back which kernels are allowed.

The setting ``sdpa-flash``, for example, is transformers' ``sdpa`` with the flash kernel alone. If that kernel cannot
run, torch raises an error (https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.sdpa_kernel.html).
"""

import torch

SETTERS = {
    "math": torch.backends.cuda.enable_math_sdp,
    "flash": torch.backends.cuda.enable_flash_sdp,
    "efficient": torch.backends.cuda.enable_mem_efficient_sdp,
    "cudnn": torch.backends.cuda.enable_cudnn_sdp,
}
GETTERS = {
    "math": torch.backends.cuda.math_sdp_enabled,
    "flash": torch.backends.cuda.flash_sdp_enabled,
    "efficient": torch.backends.cuda.mem_efficient_sdp_enabled,
    "cudnn": torch.backends.cuda.cudnn_sdp_enabled,
}


def implementation_of(attention: str) -> str:
    """The name in transformers of a setting's implementation: ``sdpa`` for ``sdpa-flash``."""
    return attention.partition("-")[0]


def kernel_of(attention: str) -> str:
    """The only kernel that a setting allows: ``flash`` for ``sdpa-flash``, and ``""`` if it allows any."""
    return attention.partition("-")[2]


def allow_kernel(kernel: str) -> None:
    """Allow only this kernel in this process, or every kernel if the name is ``""``.

    The kernel is set once for the whole process, because checkpointing computes attention again in the backward pass,
    in threads that would not see a context manager around the step. The switches apply to the CPU's kernels too.
    """
    for name, switch in SETTERS.items():
        switch(kernel in ("", name))


def in_force(implementation: str) -> str:
    """The setting that is in force: the implementation, and the kernel if only one is allowed.

    Args:
        implementation: the name in the model's configuration.
    """
    allowed = [name for name, is_allowed in GETTERS.items() if is_allowed()]
    return f"{implementation}-{allowed[0]}" if implementation == "sdpa" and len(allowed) == 1 else implementation
