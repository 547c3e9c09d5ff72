"""Saves device memory in training in ways that do not depend on the optimizer."""

import functools
from typing import Any

import torch
from torch.nn import functional

from perfgate.actor import versions
from perfgate.actor.failures import Unsupported

IGNORED = -100  # the label of a token that is left out of the loss


def save_memory(network: Any, chunked_loss: bool, activation_offload: bool, offloading: Any = None) -> None:
    """Put these settings into force on a model that was just built.

    Args:
        network: a model of transformers, with adapters or without.
        chunked_loss: whether the output layer and the loss work on one chunk of tokens at a time.
        activation_offload: whether tensors that the backward pass needs are kept in the host's memory until then.
        offloading: makes the context that moves them to the host; by default torch's ``save_on_cpu``.

    Raises:
        ValueError: the model's output layer is not one linear layer.
        Unsupported: the installed version of a library cannot do it.
    """
    if chunked_loss:
        chunk_loss(network.get_base_model() if hasattr(network, "get_base_model") else network)
    if activation_offload:
        offload_activations(network, offloading or pinned_on_host)


def chunk_loss(model: Any) -> None:
    """Make the loss apply the output layer to one chunk of tokens at a time; the layer itself then does nothing.

    The logits of all tokens, which are the largest tensor of a step if the vocabulary is large, then never exist
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
    """The output layer's forward pass if the loss applies the layer itself."""
    return hidden


def offload_activations(network: Any, offloading: Any) -> None:
    """Run the forward pass in a context that moves the tensors that autograd saves."""
    forward = network.forward

    @functools.wraps(forward)
    def offloaded(*arguments: Any, **keywords: Any) -> Any:
        with offloading():
            return forward(*arguments, **keywords)

    marked: Any = offloaded
    marked.offloads = True
    network.forward = marked


def pinned_on_host() -> Any:
    """The context that keeps saved tensors in the host's pinned memory (``save_on_cpu``,
    https://docs.pytorch.org/docs/stable/autograd.html)."""
    return torch.autograd.graph.save_on_cpu(pin_memory=True)


def configure_allocator(kind: str) -> None:
    """Set how CUDA's allocator grows, as ``PYTORCH_CUDA_ALLOC_CONF`` does; call it before the first allocation
    (https://docs.pytorch.org/docs/stable/notes/cuda.html#optimizing-memory-usage-with-pytorch-cuda-alloc-conf)."""
    if kind == "expandable_segments":
        # torch before 2.12 has this function only for CUDA.
        configure = getattr(torch._C, "_accelerator_setAllocatorSettings", torch.cuda.memory._set_allocator_settings)
        configure("expandable_segments:True")


def savings(network: Any) -> dict[str, Any]:
    """The values of this module's settings that are in force, by name."""
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
    """A function, and then each function that it wraps, from the outermost to the innermost."""
    while function is not None:
        yield function
        function = getattr(function, "__wrapped__", None)


def allocator() -> str:
    """The value of the setting ``allocator`` that CUDA's allocated segments show."""
    segments = torch.cuda.memory_snapshot() if torch.cuda.is_initialized() else []
    return "expandable_segments" if any(segment.get("is_expandable") for segment in segments) else "default"
