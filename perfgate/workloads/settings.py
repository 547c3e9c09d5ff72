"""The settings of workloads: what each is called, what it may be, and what it is where nobody chose."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from perfgate.shared.errors import UserError, nearest
from perfgate.shared.workload import Json

PRECISIONS = ("fp32", "bf16", "fp16")
TRAINING_PRECISIONS = ("fp32", "tf32", "bf16", "bf16-amp", "fp16-amp", "fp8-amp")
OPTIMIZERS = (
    "adamw_torch", "adamw_torch_fused", "adafactor", "adagrad", "rmsprop", "sgd", "sgd_momentum", "muon",
    "adamw_torch_8bit", "adamw_bnb_8bit", "lion_8bit", "paged_adamw_8bit", "galore_adamw", "apollo_adamw", "lomo",
    "adamw_cpu_offload",
)  # fmt: skip
LENGTHS = ("equal", "log-normal")
SAMPLING = ("random", "sequential", "group_by_length", "batch_rebalance")
ATTENTIONS = (
    "default", "eager", "sdpa", "sdpa-math", "sdpa-flash", "sdpa-efficient", "flex_attention", "flash_attention_2",
    "flash_attention_3", "flash_attention_4",
)  # fmt: skip
COMPILE_MODES = ("off", "default", "reduce-overhead", "max-autotune")
CHECKPOINTINGS = (False, True, "every_2_layers", "every_4_layers", "offload")
EXPERTS = ("default", "eager", "batched_mm", "grouped_mm")
CACHES = (
    "default", "none", "dynamic", "static", "offloaded", "offloaded_static", "quantized-fp8", "quantized-quanto",
)  # fmt: skip
STRATEGIES = ("none", "ddp", "fsdp", "fsdp-offload", "tp", "cp")
RANKS = (1, 2, 4, 8, 16)
CHOICES: dict[str, tuple[Json, ...]] = {"attention": ATTENTIONS, "compile": COMPILE_MODES}
QUANTIZATIONS = (
    "off",
    "llm-int8",
    "nf4",
    "torchao-int8",
    "torchao-int8-dynamic",
    "torchao-float8",
    "torchao-float8-dynamic",
    "torchao-int4",
    "torchao-mxfp4",
    "torchao-nvfp4",
)
BATCHINGS = ("padded", "continuous")


@dataclass(frozen=True)
class SettingSpec:
    """The settings of one kind of workload.

    A setting that is added to ``choices`` or ``counts`` leaves the identity of the workloads that were there before it
    as it is: at its default it is left out of the parameters.

    Attributes:
        numbers: positive whole numbers that every workload names, with their defaults.
        choices: what others may be, the default first.
        counts: whole numbers that are off at their default of 0.
        texts: free texts that are empty by default.
    """

    numbers: Mapping[str, Json]
    choices: Mapping[str, tuple[Json, ...]]
    counts: tuple[str, ...] = field(default=())
    texts: tuple[str, ...] = field(default=())

    def check(self, settings: Mapping[str, Json]) -> None:
        """Refuse unknown names and values.

        Raises:
            UserError: naming what was perhaps meant.
        """
        for name, value in settings.items():
            if name in self.choices:
                if (value, type(value)) not in [(choice, type(choice)) for choice in self.choices[name]]:
                    raise UserError(f"setting {name!r} is {value!r}{nearest(value, self.choices[name])}")
            elif name in self.texts:
                if not isinstance(value, str):
                    raise UserError(f"setting {name!r} must be a text, not {value!r}")
            elif name not in self.numbers and name not in self.counts:
                known = (*self.numbers, *self.counts, *self.texts, *self.choices)
                raise UserError(f"unknown setting {name!r}{nearest(name, known)}")
            elif not isinstance(value, int) or isinstance(value, bool) or value < (name in self.numbers):
                what = "positive whole number" if name in self.numbers else "whole number, 0 for off"
                raise UserError(f"setting {name!r} must be a {what}, not {value!r}")

    def beyond_default(self, settings: Mapping[str, Json]) -> dict[str, Json]:
        """The settings that a workload's parameters hold."""
        defaults = {name: values[0] for name, values in self.choices.items()}
        defaults |= dict.fromkeys(self.counts, 0) | dict.fromkeys(self.texts, "")
        return {name: value for name, value in settings.items() if name not in defaults or value != defaults[name]}


TRAINING = SettingSpec(
    numbers={"batch_size": 8, "gradient_accumulation": 1, "sequence_length": 64},
    choices={
        "precision": TRAINING_PRECISIONS,
        "optimizer": OPTIMIZERS,
        "activation_checkpointing": CHECKPOINTINGS,
        "lora_rank": (0, 4, 8, 16, 32, 64, 128),
        "lengths": LENGTHS,
        "sampling": SAMPLING,
        "packing": (False, True),
        "pin_memory": (False, True),
        "experts": EXPERTS,
        "quantization": ("off", "nf4"),
        "liger": (False, True),
        "chunked_loss": (False, True),
        "activation_offload": (False, True),
        "allocator": ("default", "expandable_segments"),
        "strategy": STRATEGIES,
        "ranks": RANKS,
        **CHOICES,
        "compile": (*COMPILE_MODES, "regional"),
    },
    counts=("workers", "prefetch", "pad_to_multiple_of", "empty_cache_steps", "optimizer_rank"),
)
GENERATION = SettingSpec(
    numbers={"batch_size": 1, "prompt_length": 128, "new_tokens": 16},
    choices={
        "precision": PRECISIONS,
        "cache": CACHES,
        "compile_decode": ("auto", *COMPILE_MODES),
        "beams": (1, 2, 4, 8),
        "quantization": QUANTIZATIONS,
        **CHOICES,
    },
    counts=("prefill_chunk_size", "assistant_layers", "prompt_lookup_tokens"),
    texts=("kernels",),
)
FORWARD = SettingSpec(
    numbers={"batch_size": 8, "sequence_length": 128},
    choices={"precision": PRECISIONS, "quantization": QUANTIZATIONS, **CHOICES},
    texts=("kernels",),
)
SERVING = SettingSpec(
    numbers={"batch_size": 4, "requests": 16, "prompt_length": 128, "new_tokens": 32},
    choices={
        "batching": BATCHINGS,
        "prefix_sharing": (False, True),
        "asynchronous": (False, True),
        "precision": PRECISIONS,
        "attention": ATTENTIONS,
    },
    counts=("shared_prefix",),
)
