"""Replaces a model's layers by kernels from a local folder (https://huggingface.co/docs/transformers/kernels)."""

from pathlib import Path
from typing import Any

from perfgate.actor import versions


def put_kernel(network: Any, kernel: str) -> None:
    """Replace the forward pass of one kind of layer. If the kernel cannot be loaded, the layers stay as they were.

    Args:
        network: the model, already on its device and in training or evaluation mode.
        kernel: ``LAYER=FOLDER:CLASS``, or ``""`` for none.
    """
    if not kernel:
        return
    layer, _, place = kernel.partition("=")
    folder, _, name = place.rpartition(":")
    make = versions.need("KernelConfig", f"kernels={kernel!r}")
    mapping = {layer: f"{Path(folder).resolve()}:{name}"}
    network.set_use_kernels(True, make(mapping, use_local_kernel=True))


def kernel_in_force(network: Any, kernel: str) -> str:
    """The setting if the forward pass of every such layer was replaced, else ``""``."""
    layer = kernel.partition("=")[0]
    layers = [module for module in network.modules() if getattr(module, "kernel_layer_name", None) == layer]
    return kernel if layers and all("forward" in vars(module) for module in layers) else ""
