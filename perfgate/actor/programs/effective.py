"""The settings that are really in force, read from what the libraries built."""

from dataclasses import asdict
from typing import Any

import torch

from perfgate.actor.programs.distributed import share_in_force

DTYPES = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
OPTIMIZERS = {"Adafactor": "adafactor", "Adagrad": "adagrad", "RMSprop": "rmsprop", "SGD": "sgd"}


def asked_and_in_force(
    chosen: Any, network: Any, wrapped: Any, optimizer: Any = None, accelerator: Any = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings by the names that a workload gives them: those asked for, and those in force.

    Args:
        chosen: a dataclass of settings.
        network: the model itself.
        wrapped: what is called in its place.
        optimizer: of a training step.
        accelerator: of ``accelerate``, which holds mixed precision; it leaves it out where the device has none.
    """
    asked = asdict(chosen)
    if asked["attention"] == "default":  # the library's choice, whatever it is
        del asked["attention"]
    mixed = accelerator.mixed_precision if accelerator is not None and accelerator.native_amp else "no"
    return asked, in_force(asked["compile"], network, wrapped, optimizer, mixed)


def in_force(
    compile_mode: str, network: Any, wrapped: Any, optimizer: Any = None, mixed_precision: str = "no"
) -> dict[str, Any]:
    """What the libraries built, and the modules whose forward pass was exchanged.

    Args:
        compile_mode: that was asked for, which a compiled model does not tell.
        network: the model itself.
        wrapped: what is called in its place.
        optimizer: of a training step.
        mixed_precision: of ``accelerate``: ``no``, ``bf16`` or ``fp16``.
    """
    weights = DTYPES.get(majority_dtype(network), "other")
    compiled = any(map(is_compiled, (wrapped, network, getattr(network, "forward", None))))
    found: dict[str, Any] = {
        "precision": weights if mixed_precision in ("no", "None", None) else f"{mixed_precision}-amp",
        "attention": getattr(getattr(network, "config", None), "_attn_implementation", "default"),
        "compile": (compile_mode if compile_mode != "off" else "on") if compiled else "off",
        "patched_modules": patched(network),
    }
    if optimizer is not None:
        found["optimizer"] = optimizer_name(optimizer)
        found["activation_checkpointing"] = any(
            getattr(module, "gradient_checkpointing", False) for module in network.modules()
        )
        ranks = [adapter.r for adapter in getattr(network, "peft_config", {}).values()]
        found["lora_rank"] = ranks[0] if ranks else 0
        found |= share_in_force(wrapped)
    return found


def majority_dtype(network: Any) -> Any:
    """The type of most weights."""
    sizes: dict[Any, int] = {}
    for parameter in network.parameters():
        sizes[parameter.dtype] = sizes.get(parameter.dtype, 0) + parameter.numel()
    return max(sizes, key=lambda dtype: sizes[dtype]) if sizes else None


def is_compiled(value: Any) -> bool:
    """Whether ``torch.compile`` stands in the way to a module or function."""
    return bool(
        hasattr(value, "_orig_mod")
        or hasattr(value, "_torchdynamo_orig_callable")
        or getattr(value, "_compiled_call_impl", None)
    )


def optimizer_name(optimizer: Any) -> str:
    """The optimizer as ``TrainingArguments.optim`` names it."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    name = type(optimizer).__name__
    if name == "AdamW":
        return "adamw_torch_fused" if optimizer.defaults.get("fused") else "adamw_torch"
    return OPTIMIZERS.get(name, name)


def patched(network: Any) -> list[str]:
    """Classes whose forward pass comes from a module that none of their bases is defined in."""
    names = set()
    for module in network.modules():
        kind = type(module)
        homes = {base.__module__ for base in kind.__mro__}
        if getattr(kind.forward, "__module__", None) not in homes:
            names.add(kind.__name__)
    return sorted(names)


def state_of(optimizer: Any) -> list[Any]:
    """The tensors that an optimizer keeps from step to step."""
    states = optimizer.state.values() if optimizer is not None else ()
    return [value for state in states for value in state.values() if isinstance(value, torch.Tensor)]
