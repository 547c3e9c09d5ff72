"""The settings of workloads: what each is called, what it may be, and what it is where nobody chose."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from perfgate.errors import UserError, nearest
from perfgate.workload import Json

PRECISIONS = ("fp32", "bf16", "fp16")
TRAINING_PRECISIONS = ("fp32", "bf16", "bf16-amp", "fp16-amp")
OPTIMIZERS = ("adamw_torch", "adamw_torch_fused", "adafactor", "adagrad", "rmsprop", "sgd")
ATTENTIONS = ("default", "eager", "sdpa")
COMPILE_MODES = ("off", "default", "reduce-overhead", "max-autotune")
STRATEGIES = ("none", "ddp", "fsdp", "fsdp-offload", "tp")
RANKS = (1, 2, 4, 8, 16)
CHOICES: dict[str, tuple[Json, ...]] = {"attention": ATTENTIONS, "compile": COMPILE_MODES}


@dataclass(frozen=True)
class Known:
    """The settings of one kind of workload.

    A setting that is added to ``choices`` or ``counts`` leaves the identity of the workloads that were there before it
    as it is: at its default it is left out of the parameters.

    Attributes:
        numbers: positive whole numbers that every workload names, with their defaults.
        choices: what others may be, the default first.
        counts: whole numbers that are off at their default of 0.
    """

    numbers: Mapping[str, Json]
    choices: Mapping[str, tuple[Json, ...]]
    counts: tuple[str, ...] = field(default=())

    def check(self, settings: Mapping[str, Json]) -> None:
        """Refuse unknown names and values.

        Raises:
            UserError: naming what was perhaps meant.
        """
        for name, value in settings.items():
            if name in self.choices:
                if (value, type(value)) not in [(choice, type(choice)) for choice in self.choices[name]]:
                    raise UserError(f"setting {name!r} is {value!r}{nearest(value, self.choices[name])}")
            elif name not in self.numbers and name not in self.counts:
                known = (*self.numbers, *self.choices, *self.counts)
                raise UserError(f"unknown setting {name!r}{nearest(name, known)}")
            elif not isinstance(value, int) or isinstance(value, bool) or value < (name in self.numbers):
                what = "positive whole number" if name in self.numbers else "whole number, 0 for off"
                raise UserError(f"setting {name!r} must be a {what}, not {value!r}")

    def beyond_default(self, settings: Mapping[str, Json]) -> dict[str, Json]:
        """The settings that a workload's parameters hold."""
        defaults = {name: values[0] for name, values in self.choices.items()} | dict.fromkeys(self.counts, 0)
        return {name: value for name, value in settings.items() if name not in defaults or value != defaults[name]}


TRAINING = Known(
    numbers={"batch_size": 8, "gradient_accumulation": 1, "sequence_length": 64},
    choices={
        "precision": TRAINING_PRECISIONS,
        "optimizer": OPTIMIZERS,
        "activation_checkpointing": (False, True),
        "lora_rank": (0, 4, 8, 16, 32, 64, 128),
        "strategy": STRATEGIES,
        "ranks": RANKS,
        **CHOICES,
    },
)
GENERATING = Known(
    numbers={"batch_size": 1, "prompt_length": 128, "new_tokens": 16}, choices={"precision": PRECISIONS, **CHOICES}
)
PASSING = Known(numbers={"batch_size": 8, "sequence_length": 128}, choices={"precision": PRECISIONS, **CHOICES})
