"""Rules for the differences between CUDA and a CPU, applied to a dry run on fake CPU tensors.

Fake CUDA tensors abort the process on a build of torch without CUDA, so the dry run stays on the CPU and these rules
put CUDA's operators in place of the CPU's. ``RULES`` is the table; each but the last has a test on a real GPU
(``tests/gpu/``).
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from perfgate.actor.dry_run.caching_allocator import BLOCK_BYTES
from perfgate.actor.dry_run.cpu_rules import CpuRules
from perfgate.actor.dry_run.cuda_functions import CudaFunctions
from perfgate.actor.dry_run.cuda_scratch import reduction, scratch_bytes
from perfgate.shared.cuda_reductions import Reduction

MIB = 1 << 20
ONE_WORKSPACE_AFTER = (2, 11)  # seen on emulated cards with 2.11 and 2.13; 2.12 was not tried
LARGE_ON_BLACKWELL_SINCE = (2, 12)  # https://github.com/pytorch/pytorch/pull/175344, after the branch of 2.11 was cut

OLDEST, NEWEST = "2.6", "2.14"  # the oldest torch of a reference, and the newest whose code was read for the rules


@dataclass(frozen=True)
class Rule:
    """One difference between CUDA and a CPU, with its source.

    Attributes:
        oldest: the oldest version of torch with this behaviour.
        newest: the newest version that is known to behave so.
    """

    name: str
    what: str
    source: str
    oldest: str = OLDEST
    newest: str = NEWEST

    def holds(self, torch_version: str) -> bool:
        """Whether the rule is known to hold for a version of torch; only major and minor number count."""
        return numbers(self.oldest) <= numbers(torch_version) <= numbers(self.newest)


def numbers(version: str) -> tuple[int, ...]:
    """Major and minor number."""
    return tuple(int(part) for part in version.split(".")[:2])


RULES = (
    Rule(
        "blocks",
        "the caching allocator hands out multiples of 512 bytes, and of a block of more than 1 MiB it splits off no "
        "rest of 1 MiB or less (``caching_allocator``)",
        "https://docs.pytorch.org/docs/stable/notes/cuda.html#memory-management, kMinBlockSize in "
        "c10/core/AllocatorConfig.h; held against the allocator of torch 2.11 and 2.14",
    ),
    Rule(
        "dropout",
        "dropout is one fused kernel that keeps a mask of 1 byte an element, not a float mask, unless it is in place",
        "aten/src/ATen/native/Dropout.cpp, is_fused_kernel_acceptable",
    ),
    Rule(
        "attention",
        "in 16 bits cuDNN first on 9.x and 10.x from torch 2.11 on; then flash attention in 16 bits without a mask, "
        "then memory-efficient attention, then the math kernel, each where it can (``cuda_attention``); backward "
        "passes sum the gradient of the query in 32 bits; flash attention widens heads to multiples of 8 and copies a "
        "gradient whose tokens lie apart, and memory-efficient attention widens the rows of a mask",
        "aten/src/ATen/native/transformers/cuda/sdp_utils.cpp; held against torch 2.11, 2.13 and 2.14 on "
        "emulated cards, as documented for other versions; "
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html",
    ),
    Rule(
        "autocast",
        "under autocast softmax, layer norm, losses, sums, powers and interpolation run in float32 (``cuda_autocast``)",
        "https://docs.pytorch.org/docs/stable/amp.html#cuda-ops-that-can-autocast-to-float32; aten/src/ATen/"
        "autocast_mode.h, AT_FORALL_FP32 and AT_FORALL_FP32_SET_OPT_DTYPE",
    ),
    Rule(
        "foreach",
        "optimizers and clipping work on lists of all parameters at once, with temporaries as large as the lists",
        "https://docs.pytorch.org/docs/stable/optim.html#algorithms (default implementations)",
    ),
    Rule(
        "counters",
        "step counters of an optimizer that is neither fused nor capturable stay on the host",
        "torch/optim/adamw.py, _init_group",
    ),
    Rule(
        "offload",
        "what autograd saves is copied to pinned memory of the host, and back where the backward pass needs it",
        "torch/autograd/graph.py, save_on_cpu",
    ),
    Rule(
        "random state",
        "checkpointing keeps the random state of CUDA on the host, so it costs no device memory",
        "torch/utils/checkpoint.py, get_device_states",
    ),
    Rule(
        "workspaces",
        "cuBLAS takes 8.125 MiB a handle, and 32 MiB on 9.x, from torch 2.12 on also on 10.x and 12.x; the backward "
        "pass has its own thread and handle, and a thread without products of matrices has none; up to torch 2.11 "
        "products to which a bias is added have 1 MiB of their own beside it",
        "https://docs.pytorch.org/docs/stable/notes/cuda.html#cublas-workspaces",
    ),
    Rule(
        "convolutions",
        "cuDNN copies input, weights and result of a convolution to a layout with the channels last while it runs, "
        "with channels filled up to a multiple of 8 in 16 bits, if they do not lie so already",
        "held against cuDNN's plans under torch 2.11 and 2.14 on emulated cards; https://docs.nvidia.com/deeplearning/"
        "performance/dl-performance-convolutional/index.html (tensor layouts)",
    ),
    Rule(
        "sums",
        "where several blocks share a result, as in the gradient of a bias over many tokens, their shares lie in "
        "memory meanwhile, up to 8 bytes for each element that is summed (``cuda_reductions``)",
        "aten/src/ATen/native/cuda/Reduce.cuh, setReduceConfig; held against torch 2.13 and 2.14 on emulated cards",
    ),
    Rule(
        "softmax",
        "softmax of float16 to float32 is one kernel (``cuda_softmax``); its backward pass multiplies gradient and "
        "result first, and has the product beside them; in attention by matrix products it has a byte a number beside "
        "it, also on a CPU",
        "aten/src/ATen/native/SoftMax.cpp, softmax; cuda/SoftMax.cu, softmax_backward_cuda_out; _safe_softmax in "
        "transformers/attention.cpp",
    ),
    Rule(
        "norms",
        "from torch 2.9 on RMS norm is one kernel and one in the backward pass, and keeps one number a row, where "
        "weight and input are of one type, to which autocast brings them from 2.12 on (``cuda_norms``); it and layer "
        "norm copy what does not lie in rows one after another, group norm what does not lie with the channels first",
        "rms_norm_symint in aten/src/ATen/native/layer_norm.cpp, and cuda/layer_norm_kernel.cu; native_group_norm in "
        "group_norm.cpp",
    ),
    Rule(
        "not modelled",
        "left out by decision, as it is short-lived and far from the usual peak, or small: the buffers in which an "
        "embedding's backward pass sorts more than 3,072 tokens; the two statistics of a row that layer norm keeps in "
        "float32, which count in the type of its input; what the backward pass of a norm over more than 65,536 rows "
        "adds up in parts, 17 MiB at most; what convolutions with groups take",
        "aten/src/ATen/native/cuda/Embedding.cu, embedding_dense_backward_cuda; layer_norm_kernel.cu; for sums in "
        "parts an emulated card of torch 2.14",
    ),
)


def without_rules(torch_version: str) -> str:
    """The reason why CUDA's rules are not known for a version of torch; empty if all rules hold."""
    unknown = [rule for rule in RULES if not rule.holds(torch_version)]
    if not unknown:
        return ""
    which = "the rules of CUDA are" if len(unknown) == len(RULES) else f"the rule of CUDA for {unknown[0].name} is"
    known = f"{unknown[0].oldest} to {unknown[0].newest}"
    return f"{which} known for torch {known}, and this is torch {'.'.join(torch_version.split('.')[:2])}"


def handle_bytes(torch_version: str, capability: tuple[int, int]) -> int:
    """The size of cuBLAS's workspace for a host thread, by the version of torch and the card's capability."""
    large = (9, 10, 12) if numbers(torch_version) >= LARGE_ON_BLACKWELL_SINCE else (9,)
    return 32 * MIB if capability[0] in large else 8 * MIB + MIB // 8


class CudaRules(CpuRules):
    """The rules of CUDA, which ``RULES`` lists.

    Args:
        capability: compute capability, major and minor; it decides the size of workspaces.
    """

    block_bytes = BLOCK_BYTES
    in_blocks = True
    has_host = True

    def __init__(self, capability: tuple[int, int] = (9, 0)) -> None:
        self.handle_bytes = handle_bytes(torch.__version__, capability)
        self.bias_bytes = 0 if numbers(torch.__version__) > ONE_WORKSPACE_AFTER else MIB
        self._capability = capability
        self._functions = CudaFunctions(capability)

    def unknown(self, params: Mapping[str, Any]) -> str:
        """The reason why the rules may be wrong: an unknown version of torch, or a compiler with unknown kernels."""
        compiles = params.get("cache") == "static" and params.get("compile_decode", "auto") == "auto"
        itself = "generate compiles by itself over a static cache on CUDA, and the compiler chooses its operators"
        return without_rules(torch.__version__) or (itself if compiles else "")

    def attending(self, kernel: str) -> AbstractContextManager[Any]:
        """Tell the function that chooses kernels which one is allowed."""
        self._functions.kernel = kernel
        return nullcontext()

    def scratch_bytes(self, operator: str, arguments: Any, result: Any) -> int:
        """The temporary bytes of CUDA's kernels, and of operators that consist of others on every device."""
        everywhere = super().scratch_bytes(operator, arguments, result)
        return everywhere + scratch_bytes(operator, arguments, result, self._capability)

    def reduction(self, operator: str, arguments: Any) -> Reduction | None:
        """The operator as a sum or mean, whose temporary bytes do not grow in a straight line."""
        return reduction(operator, arguments, self._capability)

    def functions(self) -> AbstractContextManager[Any]:
        """CUDA's dropout, attention, RMS norm and mixed precision in place of the CPU's."""
        return self._functions

    def autocast(self, dtype: torch.dtype) -> Any:
        """The CPU's autocast; ``functions`` adds CUDA's list of functions that run in float32."""
        return torch.autocast("cpu", dtype=dtype)

    def optimizer_options(self, make: Any, options: dict[str, Any]) -> dict[str, Any]:
        """Make torch's optimizers work on lists unless they are fused; other optimizers have no such choice."""
        own = make.__module__.startswith("torch.optim")
        return options | {"foreach": True} if own and not options.get("fused") else options

    @contextmanager
    def stepping(self, optimizer: Any) -> Iterator[None]:
        """Step on lists, if the program leaves that choice to torch."""
        free = [group for group in optimizer.param_groups if group.get("foreach", 0) is None and not group.get("fused")]
        for group in free:
            group["foreach"] = True
        try:
            yield
        finally:
            for group in free:
                group["foreach"] = None

    def recomputing(self) -> AbstractContextManager[Any]:
        """CUDA's functions once more, because torch turns function modes off in the backward pass."""
        return self._functions

    def offloading(self, context: Any) -> AbstractContextManager[Any]:
        """Copy each tensor that autograd saves to the host, and back when the backward pass needs it."""

        def pack(tensor: Any) -> Any:
            copy = tensor.clone()
            context.tracker.storages.forget(copy)
            return copy

        return torch.autograd.graph.saved_tensors_hooks(pack, torch.clone)

    def elsewhere(self, state: dict[str, Any], optimizer: Any) -> list[Any]:
        """The step counter, which is in the host's memory unless the optimizer is fused."""
        own = type(optimizer).__module__.startswith("torch.optim") and not optimizer.defaults.get("fused")
        return [state["step"]] if own and "step" in state else []
