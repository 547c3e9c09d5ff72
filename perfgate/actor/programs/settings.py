"""The settings of training beyond its sizes, and how transformers is told of them."""

import dataclasses
import tempfile
from dataclasses import dataclass
from typing import Any

from transformers import TrainingArguments

SHARDING = ("fsdp", "fsdp-offload")


@dataclass(frozen=True)
class TrainingSettings:
    """What ``perfgate.tasks.training`` takes besides sizes; a workload leaves out what is at its default."""

    precision: str = "fp32"
    optimizer: str = "adamw_torch"
    attention: str = "default"
    activation_checkpointing: bool = False
    lora_rank: int = 0
    compile: str = "off"
    strategy: str = "none"
    ranks: int = 1

    @property
    def weights(self) -> str:
        """The precision in which weights are held: mixed precision keeps them in full."""
        return "fp32" if self.precision.endswith("-amp") else self.precision

    @property
    def batches(self) -> int:
        """How many batches are at work at a time: one a rank, unless ranks split the model between them."""
        return 1 if self.strategy == "tp" else self.ranks


def training_arguments(chosen: TrainingSettings, **more: Any) -> TrainingArguments:
    """The Trainer's arguments. Everything that costs hidden time is pinned, whatever a version's default."""
    names = {field.name for field in dataclasses.fields(TrainingArguments)}
    # Renamed in transformers 5.20; the old name warns where the new one exists.
    checkpointing = "activation_checkpointing" if "activation_checkpointing" in names else "gradient_checkpointing"
    return TrainingArguments(
        output_dir=tempfile.gettempdir(),
        optim=chosen.optimizer,
        bf16=chosen.precision == "bf16-amp",
        fp16=chosen.precision == "fp16-amp",
        torch_compile=chosen.compile != "off",
        torch_compile_mode=chosen.compile if chosen.compile not in ("off", "default") else None,
        max_grad_norm=1.0,
        logging_strategy="no",
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to=[],
        disable_tqdm=True,
        skip_memory_metrics=True,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        **sharding_arguments(chosen),
        **{checkpointing: chosen.activation_checkpointing},
        **more,
    )


def sharding_arguments(chosen: TrainingSettings) -> dict[str, Any]:
    """The Trainer's arguments for FSDP2; none where nothing is sharded."""
    if chosen.strategy not in SHARDING:
        return {}
    config = {"version": 2, "reshard_after_forward": True, "cpu_ram_efficient_loading": False}
    return {"fsdp": True, "fsdp_config": config | {"cpu_offload": chosen.strategy == "fsdp-offload"}}


def enable_checkpointing(model: Any, **options: Any) -> None:
    """Drop activations in the forward pass and compute them again in the backward pass, as the Trainer does.

    Args:
        model: of transformers.
        options: for ``torch.utils.checkpoint.checkpoint``.
    """
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": False, **options})
