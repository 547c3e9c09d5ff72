"""Sorts the parameters of a workload into a model, settings and text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfgate.shared.settings import (
    DENOISER_TRAINING,
    FORWARD,
    GENERATION,
    IMAGE_GENERATION,
    MODEL_LOADING,
    OPERATOR,
    READING,
    SERVING,
    TOKENIZING,
    TRAINING,
)

TEXTS = ("data", "prompts", "sentences")
# Classes that are made at run time; a type checker sees their fields as Any.
_Training: Any = TRAINING.dataclass()
_Generation: Any = GENERATION.dataclass()
_Serving: Any = SERVING.dataclass()
_Forward: Any = FORWARD.dataclass()
_Operator: Any = OPERATOR.dataclass()
_Tokenizing: Any = TOKENIZING.dataclass()
_Reading: Any = READING.dataclass()
_Images: Any = IMAGE_GENERATION.dataclass()
_Denoiser: Any = DENOISER_TRAINING.dataclass()
_Loading: Any = MODEL_LOADING.dataclass()


class TrainingSettings(_Training):
    """The settings of training, and values derived from them."""

    @property
    def weights(self) -> str:
        """The number type in which weights are held: under mixed precision they stay in 32 bits."""
        return "fp32" if self.precision == "tf32" or self.precision.endswith("-amp") else str(self.precision)

    @property
    def mixed_precision(self) -> str:
        """``accelerate``'s name for the precision; ``no`` if no precisions are mixed."""
        return self.precision.removesuffix("-amp") if self.precision.endswith("-amp") else "no"

    @property
    def batches(self) -> int:
        """The number of batches in progress at once: one for each rank, unless ranks split the model or samples."""
        return 1 if self.strategy in ("tp", "cp") else int(self.ranks)

    @property
    def samples(self) -> int:
        """The number of samples that a step reads, on all ranks."""
        return int(self.batch_size * self.gradient_accumulation * self.batches)


class GenerationSettings(_Generation):
    """The settings of generation."""


class ServingSettings(_Serving):
    """The settings of serving."""


class ForwardSettings(_Forward):
    """The settings of forward passes."""


class OperatorSettings(_Operator):
    """The settings of all operators; each has some of them."""


class TokenizingSettings(_Tokenizing):
    """The settings of tokenizing."""


class ReadingSettings(_Reading):
    """The settings of reading data sets."""


class ImageSettings(_Images):
    """The settings of image generation."""


class DenoiserSettings(_Denoiser):
    """The settings of training a denoiser."""


class LoadingSettings(_Loading):
    """The settings of loading a model."""


@dataclass(frozen=True)
class Request:
    """The parameters of a workload.

    Attributes:
        model: the class of transformers (``class``), and the model's source.
        task: the task, such as ``causal-lm``.
        seed: the seed of random weights and random inputs.
        chosen: all settings, including sizes.
        text: real text, sentences or conversations in place of random tokens; ``None`` for random tokens.
    """

    model: Mapping[str, Any]
    task: str
    seed: int
    chosen: Any
    text: Any = None

    @classmethod
    def of(cls, settings: type, params: Mapping[str, Any]) -> "Request":
        """Sort the parameters of a workload.

        Args:
            settings: the class of the settings.
            params: the parameters of a workload.
        """
        given = dict(params)
        text = [given.pop(name) for name in TEXTS if name in given]
        model, task, seed = given.pop("model"), given.pop("task"), given.pop("seed")
        return cls(model, task, seed, settings(**given), next(iter(text), None))
