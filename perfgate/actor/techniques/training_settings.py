"""The settings of training, as transformers and accelerate take them."""

import tempfile
from typing import Any

from transformers import TrainingArguments

from perfgate.actor import versions
from perfgate.actor.data.loading import loader_arguments
from perfgate.actor.request import TrainingSettings
from perfgate.actor.techniques.optimizers import as_argument

SHARDING = ("fsdp", "fsdp-offload")


def training_arguments(chosen: TrainingSettings, kind: Any = TrainingArguments, **more: Any) -> TrainingArguments:
    """The Trainer's arguments. Everything that costs hidden time is pinned, whatever a version's default."""
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
        # Left open, compilation would turn it on.
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
        **more,
    )
    arguments: TrainingArguments = kind(**versions.training_arguments_for(kind, asked))
    return arguments


def compile_mode(chosen: str) -> str | None:
    """What ``torch.compile`` calls the mode; ``None`` for its default."""
    return chosen if chosen in ("reduce-overhead", "max-autotune") else None


def sharding_arguments(chosen: TrainingSettings) -> dict[str, Any]:
    """The Trainer's arguments for FSDP2; none where nothing is sharded.

    Ranks that split samples have shards of the weights too: ``accelerate`` has context parallelism with FSDP2 alone
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
    """What transformers calls a way of activation checkpointing; empty for that of all layers."""
    if chosen == "offload":
        return {"offload": True}
    return {"every_n_layers": int(chosen.split("_")[1])} if isinstance(chosen, str) else {}


def enable_checkpointing(model: Any, chosen: bool | str = True, **options: Any) -> None:
    """Drop activations in the forward pass and compute them again in the backward pass, as the Trainer does.

    Args:
        model: of transformers.
        chosen: the setting.
        options: for ``torch.utils.checkpoint.checkpoint``.
    """
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False, **options}, **checkpointed_layers(chosen))
