"""Reads the settings that are really in force from the objects that the libraries built."""

from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from perfgate.actor import versions
from perfgate.actor.techniques import attention
from perfgate.actor.techniques.distributed import share_in_force
from perfgate.actor.techniques.memory_savings import savings
from perfgate.actor.techniques.optimizers import optimizer_name, optimizer_rank
from perfgate.actor.tensors import decoded_to, quantization_of
from perfgate.shared.settings import asked

UNMIXED = ("no", "None", None)  # accelerate's names for no mixed precision
DTYPES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}


def asked_and_in_force(
    chosen: Any, network: Any, wrapped: Any, optimizer: Any = None, accelerator: Any = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that were asked for and those that are in force, both by name.

    Args:
        chosen: all settings of the workload.
        network: the model itself.
        wrapped: the object that is called in place of the model.
        optimizer: the optimizer, in training.
        accelerator: the ``Accelerator``, which applies mixed precision unless the device has none.
    """
    mixed = accelerator.mixed_precision if accelerator is not None and accelerator.native_amp else "no"
    found = in_force(getattr(chosen, "compile", "off"), network, wrapped, optimizer, mixed)
    if optimizer is not None:
        found |= share_in_force(wrapped, accelerator)
    return asked(chosen), found


def in_force(
    compile_mode: str, network: Any, wrapped: Any, optimizer: Any = None, mixed_precision: str = "no"
) -> dict[str, Any]:
    """The settings in force by name, and the classes of modules whose forward pass was replaced.

    Args:
        compile_mode: the mode that was asked for; it cannot be read from a compiled model.
        network: the model itself.
        wrapped: the object that is called in place of the model.
        optimizer: the optimizer, in training.
        mixed_precision: the name in ``accelerate``: ``no``, ``bf16``, ``fp16`` or ``fp8``.
    """
    implementation = getattr(getattr(network, "config", None), "_attn_implementation", "default")
    found: dict[str, Any] = {
        "precision": precision_of(network, mixed_precision),
        "attention": attention.in_force(implementation),
        "compile": compiled(compile_mode, network, wrapped),
        "quantization": quantization_of(network),
        "patched_modules": patched(network),
        **convolutions(network, mixed_precision),
    }
    if optimizer is not None:
        found["optimizer"] = optimizer_name(optimizer)
        found["optimizer_rank"] = optimizer_rank(optimizer)
        found["activation_checkpointing"] = checkpointing(network)
        found["experts"] = experts(network)
        found["use_cache"] = bool(getattr(network.config, "use_cache", False))
        ranks = [adapter.r for adapter in getattr(network, "peft_config", {}).values()]
        found["lora_rank"] = ranks[0] if ranks else 0
        found |= savings(network)
    return found


def precision_of(network: Any, mixed_precision: str | None) -> str:
    """The value of the setting ``precision`` that is in force.

    It is mixed precision such as ``bf16-amp``, or the weights' number type, or ``tf32`` if the weights are float32 and
    are multiplied with fewer bits. If layers of 4 bits compute in another number type than the rest, both are named, as
    in ``bf16+fp32``.
    """
    weights = DTYPES.get(majority_dtype(network), "other")
    arithmetic = weights if mixed_precision in UNMIXED else mixed_precision
    if decoded := {DTYPES.get(dtype, "other") for dtype in decoded_to(network)} - {arithmetic}:
        return "+".join(sorted(decoded | {arithmetic}))
    if mixed_precision == "fp8" and not any(type(module).__name__ == "Float8Linear" for module in network.modules()):
        return "bf16-amp"  # the fp8 recipe found no layer to convert, so only bf16 is mixed in
    if mixed_precision not in UNMIXED:
        return f"{mixed_precision}-amp"
    return "tf32" if weights == "fp32" and multiplies_in_tf32() else weights


def multiplies_in_tf32() -> bool:
    """Whether torch may multiply matrices of float32 with 10 bits of mantissa, on a GPU that can."""
    products = torch.backends.cuda.matmul
    if getattr(torch.backends, "fp32_precision", None) is None:
        return bool(products.allow_tf32)
    return products.fp32_precision == "tf32"  # torch 2.9 and newer refuse the older query


def convolutions(network: Any, mixed_precision: str | None = "no") -> dict[str, str]:
    """Whether a GPU convolves float32 with 10 bits of mantissa, which torch decides separately from matrix products.

    It is not part of ``precision``: the Trainer sets both alike, and inference leaves both unchanged. Empty for a
    network that has no convolutions, or convolves other number types.
    """
    weights = [each.weight for each in network.modules() if isinstance(each, torch.nn.modules.conv._ConvNd)]
    wide = any(weight.is_cuda and weight.dtype == torch.float32 for weight in weights)
    if not wide or mixed_precision not in UNMIXED:
        return {}
    return {"convolutions": "tf32" if torch.backends.cudnn.conv.fp32_precision == "tf32" else "fp32"}


def checkpointing(network: Any) -> bool | str:
    """The value of ``activation_checkpointing`` in force: off, on, every few layers, or with offloading to the host."""
    kind = versions.find("GradientCheckpointingLayer")
    layers = [module for module in network.modules() if kind is not None and isinstance(module, kind)]
    chosen = [number for number, layer in enumerate(layers) if layer.gradient_checkpointing]
    if not chosen:
        return any(getattr(module, "gradient_checkpointing", False) for module in network.modules())
    apart = chosen[1] - chosen[0] if len(chosen) > 1 else len(layers)
    if apart > 1:
        return f"every_{apart}_layers"
    function = layers[0]._gradient_checkpointing_func
    return True if getattr(function, "func", function) is checkpoint else "offload"


def experts(network: Any) -> str:
    """The implementations of the model's expert layers; ``none`` if it has no such layers."""
    found = {module.config._experts_implementation for module in network.modules() if hasattr(module, "_apply_gate")}
    return " and ".join(sorted(found)) or "none"


def compiled(asked: str, network: Any, wrapped: Any) -> str:
    """The value of the setting ``compile`` that is in force.

    The model shows whether all of it, each layer, or nothing was compiled. It does not show the mode, so that is the
    mode asked for.
    """
    if not any(map(is_compiled, (wrapped, network, getattr(network, "forward", None)))):
        return "off"
    whole = isinstance(wrapped, torch._dynamo.OptimizedModule) or not hasattr(wrapped, "_orig_mod")
    if not whole:
        return "regional"
    return "on" if asked in ("off", "regional") else asked


def majority_dtype(network: Any) -> Any:
    """The number type that most of the weights have, not counting quantized ones; ``None`` if there are no others."""
    sizes: dict[Any, int] = {}
    for parameter in filter(torch.is_floating_point, network.parameters()):
        sizes[parameter.dtype] = sizes.get(parameter.dtype, 0) + parameter.numel()
    return max(sizes, key=lambda dtype: sizes[dtype]) if sizes else None


def is_compiled(value: Any) -> bool:
    """Whether ``torch.compile`` has wrapped a module or function."""
    return bool(
        hasattr(value, "_orig_mod")
        or hasattr(value, "_torchdynamo_orig_callable")
        or getattr(value, "_compiled_call_impl", None)
    )


def patched(network: Any) -> list[str]:
    """Names of module classes whose forward pass was replaced from outside.

    Such a forward pass was defined in a Python module in which neither the class nor any of its bases was.
    """
    names = set()
    for module in network.modules():
        kind = type(module)
        homes = {base.__module__ for base in kind.__mro__}
        if getattr(kind.forward, "__module__", None) not in homes:
            names.add(kind.__name__)
    return sorted(names)
