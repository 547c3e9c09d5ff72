"""The settings of training beyond its sizes, and how transformers is told of them."""

import tempfile
from dataclasses import dataclass
from typing import Any

from transformers import TrainingArguments

from perfgate.actor import versions
from perfgate.actor.data.loading import LoadingSettings, loader_arguments
from perfgate.actor.techniques.optimizers import as_argument

SHARDING = ("fsdp", "fsdp-offload")


@dataclass(frozen=True)
class TrainingSettings(LoadingSettings):
    """What ``perfgate.workloads.tasks.training`` takes besides sizes; a workload leaves out what is at its default."""

    precision: str = "fp32"
    optimizer: str = "adamw_torch"
    attention: str = "default"
    activation_checkpointing: bool | str = False
    lora_rank: int = 0
    experts: str = "default"
    empty_cache_steps: int = 0
    quantization: str = "off"
    optimizer_rank: int = 0
    liger: bool = False
    chunked_loss: bool = False
    activation_offload: bool = False
    allocator: str = "default"
    compile: str = "off"
    strategy: str = "none"
    ranks: int = 1

    @property
    def weights(self) -> str:
        """The precision in which weights are held: mixed precision keeps them in full."""
        return "fp32" if self.precision == "tf32" or self.precision.endswith("-amp") else self.precision

    @property
    def mixed_precision(self) -> str:
        """What ``accelerate`` calls the precision."""
        return self.precision.removesuffix("-amp") if self.precision.endswith("-amp") else "no"

    @property
    def batches(self) -> int:
        """How many batches are at work at a time: one a rank, unless ranks split the model or the samples."""
        return 1 if self.strategy in ("tp", "cp") else self.ranks


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
