"""Ways to train in less device memory that are independent of model and optimizer."""

import functools
from typing import Any

import torch
from torch.nn import functional

from perfgate.actor import versions
from perfgate.actor.failures import Unsupported

IGNORED = -100  # label of a token that has no loss


def save_memory(network: Any, chunked_loss: bool, activation_offload: bool, offloading: Any = None) -> None:
    """Put what was chosen into force, on the model as it was built.

    Args:
        network: of transformers, with adapters or without.
        chunked_loss: whether head and loss work chunk by chunk.
        activation_offload: whether what the backward pass needs waits in the host's memory.
        offloading: makes the context in which it does; ``save_on_cpu`` of torch, unless it is named.

    Raises:
        ValueError: the model has no language head of one linear layer.
        Unsupported: this version of a library cannot do it.
    """
    if chunked_loss:
        chunk_loss(network.get_base_model() if hasattr(network, "get_base_model") else network)
    if activation_offload:
        offload_activations(network, offloading or pinned_on_host)


def chunk_loss(model: Any) -> None:
    """Let the head hand its input on, and the loss apply the head to one chunk of tokens after the other.

    So the logits of all tokens, which a large vocabulary makes the largest tensor of a step, never exist
    (https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.linear_cross_entropy.html, torch 2.13).
    """
    plain_loss = versions.need("ForCausalLMLoss", "chunked_loss=True")
    if not hasattr(torch.nn, "LinearCrossEntropyOptions"):
        raise Unsupported(f"chunked_loss=True needs torch 2.13 or newer, and this is {versions.installed('torch')}")
    head = model.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear) or model.loss_function is not plain_loss:
        name = type(model).__name__
        raise ValueError(f"chunked_loss=True needs a causal language model with a linear head, not {name}")
    options = torch.nn.LinearCrossEntropyOptions()

    def loss(logits: Any, labels: Any, vocab_size: int, num_items_in_batch: Any = None, **_: Any) -> Any:
        hidden = logits.reshape(-1, logits.shape[-1])
        targets = functional.pad(labels, (0, 1), value=IGNORED)[..., 1:].reshape(-1)
        reduction = "mean" if num_items_in_batch is None else "sum"
        total = functional.linear_cross_entropy(
            hidden, head.weight, targets, linear_bias=head.bias, reduction=reduction, options=options
        )
        return total if num_items_in_batch is None else total / num_items_in_batch

    head.forward = unchanged
    model.loss_function = loss


def unchanged(hidden: Any) -> Any:
    """The head's forward pass where the loss applies the head itself."""
    return hidden


def offload_activations(network: Any, offloading: Any) -> None:
    """Run the forward pass in a context that moves what autograd saves."""
    forward = network.forward

    @functools.wraps(forward)
    def offloaded(*arguments: Any, **keywords: Any) -> Any:
        with offloading():
            return forward(*arguments, **keywords)

    marked: Any = offloaded
    marked.offloads = True
    network.forward = marked


def pinned_on_host() -> Any:
    """Keep saved tensors in pinned memory (https://docs.pytorch.org/docs/stable/autograd.html, save_on_cpu)."""
    return torch.autograd.graph.save_on_cpu(pin_memory=True)


def configure_allocator(kind: str) -> None:
    """Tell CUDA's allocator how to grow, before it hands out anything, as ``PYTORCH_CUDA_ALLOC_CONF`` does
    (https://docs.pytorch.org/docs/stable/notes/cuda.html#optimizing-memory-usage-with-pytorch-cuda-alloc-conf)."""
    if kind == "expandable_segments":
        # torch before 2.12 has it under cuda alone.
        configure = getattr(torch._C, "_accelerator_setAllocatorSettings", torch.cuda.memory._set_allocator_settings)
        configure("expandable_segments:True")


def savings(network: Any) -> dict[str, Any]:
    """The settings of this module that are in force."""
    base = network.get_base_model() if hasattr(network, "get_base_model") else network
    head = base.get_output_embeddings() if hasattr(base, "get_output_embeddings") else None
    ways = list(wrapped(network.forward))
    return {
        "chunked_loss": getattr(head, "forward", None) is unchanged,
        "activation_offload": any(getattr(way, "offloads", False) for way in ways),
        "liger": any(str(getattr(way, "__module__", "")).startswith("liger_kernel") for way in wrapped(base.forward)),
        "allocator": allocator(),
    }


def wrapped(function: Any) -> Any:
    """A function and those that it was put around."""
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def allocator() -> str:
    """How CUDA's allocator grows, as its segments tell."""
    segments = torch.cuda.memory_snapshot() if torch.cuda.is_initialized() else []
    return "expandable_segments" if any(segment.get("is_expandable") for segment in segments) else "default"
