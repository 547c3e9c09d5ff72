"""Kernels of a local folder in place of a model's layers (https://huggingface.co/docs/transformers/kernels)."""

from pathlib import Path
from typing import Any

from perfgate.actor import versions


def put_kernel(network: Any, kernel: str) -> None:
    """Exchange a layer's forward pass; where the kernel cannot be had, the layer stays as it was.

    Args:
        network: on its device, in the mode in which it will run.
        kernel: ``LAYER=FOLDER:CLASS``; empty for none.
    """
    if not kernel:
        return
    layer, _, place = kernel.partition("=")
    folder, _, name = place.rpartition(":")
    make = versions.need("KernelConfig", f"kernels={kernel!r}")
    mapping = {layer: f"{Path(folder).resolve()}:{name}"}
    network.set_use_kernels(True, make(mapping, use_local_kernel=True))


def kernel_in_force(network: Any, kernel: str) -> str:
    """The same text where every such layer has a forward pass that is not its class's; else an empty one."""
    layer = kernel.partition("=")[0]
    layers = [module for module in network.modules() if getattr(module, "kernel_layer_name", None) == layer]
    return kernel if layers and all("forward" in vars(module) for module in layers) else ""
