"""The rules of a CPU in a dry run. They change nothing, and each other device's rules change what differs there."""

from collections.abc import Mapping, Sized
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from perfgate.shared.cuda_reductions import Reduction

CPU_KERNELS = {"math": SDPBackend.MATH, "flash": SDPBackend.FLASH_ATTENTION}


class CpuRules:
    """The rules of a CPU, which change nothing."""

    block_bytes = 64
    handle_bytes = 0  # the workspace of each host thread that calls a library's matrix products
    bias_bytes = 0  # the further workspace of each thread that adds a bias to such a product
    in_blocks = False  # whether the allocator is torch's caching one, which hands out blocks of segments
    has_host = False  # whether the host's memory is separate from the device's

    def __init__(self, capability: tuple[int, int] = (0, 0)) -> None:
        del capability

    def unknown(self, params: Mapping[str, Any]) -> str:
        """The reason why the rules may be wrong for these parameters under this torch; empty if they hold."""
        del params
        return ""

    def workspaces(self, multiplying: Sized, biased: Sized) -> list[int]:
        """The bytes of each workspace that a library keeps beside all tensors once it was used.

        Args:
            multiplying: the threads of the host that asked for products of matrices.
            biased: those that added a bias to one.
        """
        return [self.handle_bytes] * len(multiplying) + [self.bias_bytes] * len(biased)

    def attending(self, kernel: str) -> AbstractContextManager[Any]:
        """A context in which only this kernel of attention is allowed; ``""`` allows any.

        Raises:
            NotImplementedError: the device has no such kernel.
        """
        if kernel == "efficient":
            raise NotImplementedError("a CPU has no memory-efficient attention")
        return sdpa_kernel(CPU_KERNELS[kernel]) if kernel else nullcontext()

    def functions(self) -> AbstractContextManager[Any]:
        """A context in which functions call the operators that the device would run."""
        return nullcontext()

    def scratch_bytes(self, operator: str, arguments: Any, result: Any) -> int:
        """The temporary bytes of an operator that is no reduction, besides its results.

        Attention by matrix products looks for rows that are masked as a whole, with a byte a number and a byte a row.
        """
        del result
        if operator != "_safe_softmax":
            return 0
        scores, dimension = arguments[:2]
        return int(scores.numel()) + int(scores.numel()) // max(scores.shape[dimension], 1)

    def reduction(self, operator: str, arguments: Any) -> Reduction | None:
        """The operator as a reduction that takes temporary bytes; ``None`` for all others."""
        del operator, arguments
        return None

    def autocast(self, dtype: torch.dtype) -> Any:
        """The device's automatic mixed precision, as a decorator."""
        return torch.autocast("cpu", dtype=dtype)

    def optimizer_options(self, make: Any, options: dict[str, Any]) -> dict[str, Any]:
        """The optimizer's arguments, with the device's defaults filled in."""
        del make
        return options

    def stepping(self, optimizer: Any) -> AbstractContextManager[None]:
        """A context in which an optimizer that the program itself made steps as it would on the device."""
        del optimizer
        return nullcontext()

    def recomputing(self) -> AbstractContextManager[Any]:
        """A context for the computation that checkpointing repeats inside the backward pass."""
        return nullcontext()

    def offloading(self, context: Any) -> AbstractContextManager[Any]:
        """A context in which tensors that autograd saves are kept in the host's memory; a CPU has no other memory."""
        del context
        return nullcontext()

    def elsewhere(self, state: dict[str, Any], optimizer: Any) -> list[Any]:
        """The tensors of a parameter's optimizer state that are not in the device's memory."""
        del state, optimizer
        return []
