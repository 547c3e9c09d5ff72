"""Turns the settings of training into arguments of transformers and accelerate."""

import tempfile
from typing import Any

import torch
from transformers import TrainingArguments

from perfgate.actor import versions
from perfgate.actor.data.loading import loader_arguments
from perfgate.actor.request import TrainingSettings
from perfgate.actor.techniques.optimizers import as_argument
from perfgate.shared.settings.common import GRAPHED

SHARDING = ("fsdp", "fsdp-offload")


def training_arguments(chosen: TrainingSettings, kind: Any = TrainingArguments, **more: Any) -> TrainingArguments:
    """The Trainer's arguments. Options that could cost time unnoticed are set explicitly, whatever their default is."""
    layers = checkpointed_layers(chosen.activation_checkpointing)
    optim = as_argument(chosen.optimizer, chosen.optimizer_rank)
    asked = dict(
        output_dir=tempfile.gettempdir(),
        optim=optim.name,
        optim_args=optim.arguments,
        optim_target_modules=optim.modules,
        use_liger_kernel=chosen.liger,
        bf16=chosen.precision == "bf16-amp",
        fp16=chosen.precision == "fp16-amp",
        # If this were not set, compilation would turn it on (accelerate does so; see ``keep_tf32``).
        tf32=chosen.precision == "tf32",
        torch_compile=chosen.compile != "off",
        torch_compile_mode=compile_mode(chosen.compile),
        torch_empty_cache_steps=chosen.empty_cache_steps or None,
        max_grad_norm=1.0,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        skip_memory_metrics=True,
        **loader_arguments(chosen),
        **sharding_arguments(chosen),
        activation_checkpointing=bool(chosen.activation_checkpointing),
        activation_checkpointing_kwargs=layers or None,
        # If unset, the Trainer turns the cache off.
        use_cache=chosen.use_cache is True,
        **more,
    )
    arguments: TrainingArguments = kind(**versions.fields_for(kind, asked))
    return arguments


def keep_tf32(chosen: TrainingSettings, device: str) -> None:
    """Turn TF32 off again if it was not requested: an ``Accelerator`` that compiles turns it on.

    Args:
        chosen: the settings.
        device: the device's name in torch.
    """
    if device == "cuda" and chosen.precision != "tf32":
        torch.backends.fp32_precision = "ieee"
        torch.backends.cuda.matmul.fp32_precision = "ieee"  # accelerate changes it by itself


def compile_mode(chosen: str) -> str | None:
    """The name of the mode in ``torch.compile``; ``None`` for its default mode."""
    return chosen if chosen in GRAPHED else None


def sharding_arguments(chosen: TrainingSettings) -> dict[str, Any]:
    """The Trainer's arguments for FSDP2; empty if nothing is sharded.

    With context parallelism (``cp``) weights are sharded too, because ``accelerate`` supports it only with FSDP2
    (https://huggingface.co/docs/accelerate/concept_guides/context_parallelism).
    """
    if chosen.strategy not in (*SHARDING, "cp"):
        return {}
    config = {"version": 2, "reshard_after_forward": True, "cpu_ram_efficient_loading": False}
    sharded = {"fsdp": True, "fsdp_config": config | {"cpu_offload": chosen.strategy == "fsdp-offload"}}
    if chosen.strategy != "cp":
        return sharded
    make = versions.need("ParallelismConfig", "strategy='cp'")
    return sharded | {"parallelism_config": make(cp_size=chosen.ranks)}


def checkpointed_layers(chosen: bool | str) -> dict[str, Any]:
    """The options of transformers for a value of ``activation_checkpointing``; empty if all layers are checkpointed."""
    if chosen == "offload":
        return {"offload": True}
    return {"every_n_layers": int(chosen.split("_")[1])} if isinstance(chosen, str) else {}


def enable_checkpointing(model: Any, chosen: bool | str = True, **options: Any) -> None:
    """Switch on activation checkpointing as the Trainer does.

    Activations are dropped in the forward pass and computed again in the backward pass.

    Args:
        model: a model of transformers.
        chosen: the value of the setting ``activation_checkpointing``.
        options: keyword arguments of ``torch.utils.checkpoint.checkpoint``.
    """
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False, **options}, **checkpointed_layers(chosen))
