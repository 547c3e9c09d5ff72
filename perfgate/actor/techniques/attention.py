"""The kernels of torch's ``scaled_dot_product_attention``: which of them may run, and which may run now.

A setting such as ``sdpa-flash`` is transformers' ``sdpa`` with that kernel alone; where it cannot run, torch says so
(https://docs.pytorch.org/docs/stable/generated/torch.nn.attention.sdpa_kernel.html).
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
    """What transformers calls a setting."""
    return attention.partition("-")[0]


def kernel_of(attention: str) -> str:
    """The only kernel that a setting allows; empty for any."""
    return attention.partition("-")[2]


def allow_kernel(kernel: str) -> None:
    """Let this kernel alone run in this process, or any.

    For good, and not while a step lasts: checkpointing computes attention again in the backward pass, in other threads.
    These switches hold for the CPU's kernels too.
    """
    for name, switch in SETTERS.items():
        switch(kernel in ("", name))


def in_force(implementation: str) -> str:
    """The setting: what a model's configuration says, and the kernel if one alone may run."""
    allowed = [name for name, is_allowed in GETTERS.items() if is_allowed()]
    return f"{implementation}-{allowed[0]}" if implementation == "sdpa" and len(allowed) == 1 else implementation
