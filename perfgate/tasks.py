"""From a model and its settings to a workload: training, generation, forward pass.

A workload built with no settings is vanilla: what every setting of the same model and task is held against.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from perfgate.errors import UserError
from perfgate.model import Model, resolve
from perfgate.workload import Json, Workload

PROGRAMS = "perfgate.actor.programs"
LOOPS = {
    "trainer": f"{PROGRAMS}.trainer:TrainerLoop",
    "accelerate": f"{PROGRAMS}.accelerated:AcceleratedLoop",
}
GENERATION = f"{PROGRAMS}.generation:Generation"
FORWARD = f"{PROGRAMS}.forward:Forward"

TRAINING_TASKS = ("causal-lm", "sequence-classification", "masked-lm", "seq2seq-lm")
GENERATION_TASKS = ("causal-lm", "seq2seq-lm")
FORWARD_TASKS = ("masked-lm", "sequence-classification", "embedding", "causal-lm")

TRAINING_DEFAULTS: dict[str, Json] = {"batch_size": 8, "gradient_accumulation": 1, "sequence_length": 64}
GENERATION_DEFAULTS: dict[str, Json] = {"batch_size": 1, "prompt_length": 128, "new_tokens": 16}
FORWARD_DEFAULTS: dict[str, Json] = {"batch_size": 8, "sequence_length": 128}


def training(
    model: Model | str | Path,
    *,
    task: str | None = None,
    loop: str = "trainer",
    seed: int = 0,
    **settings: Json,
) -> Workload:
    """Steps of training; a step is one update of the weights, with all of its accumulated micro-batches.

    Args:
        model: a model, or the path of a local folder.
        task: defaults to the model's first that can be trained.
        loop: ``trainer`` for ``transformers.Trainer``, ``accelerate`` for a plain loop over ``Accelerator``.
        seed: of the weights and of the data.
        settings: ``batch_size`` (of a micro-batch), ``gradient_accumulation`` (micro-batches a step) and
            ``sequence_length`` in tokens.

    Raises:
        UserError: an unknown task, loop or setting, or a value out of range.
    """
    if loop not in LOOPS:
        raise UserError(f"training: unknown loop {loop!r}; choose {' or '.join(LOOPS)}")
    workload = _workload(LOOPS[loop], resolve(model), TRAINING_TASKS, task, TRAINING_DEFAULTS, settings, seed)
    return workload if loop == "trainer" else replace(workload, setting={"loop": loop, **workload.setting})


def generation(model: Model | str | Path, *, task: str | None = None, seed: int = 0, **settings: Json) -> Workload:
    """Greedy generation of a fixed number of tokens; a step is one call of ``generate``.

    Args:
        model: a model, or the path of a local folder.
        task: ``causal-lm`` or ``seq2seq-lm``; defaults to the model's first of these.
        seed: of the weights and of the prompts.
        settings: ``batch_size``, ``prompt_length`` and ``new_tokens``; prompts of a batch are ragged, padded on the
            left.

    Raises:
        UserError: an unknown task or setting, or a value out of range.
    """
    return _workload(GENERATION, resolve(model), GENERATION_TASKS, task, GENERATION_DEFAULTS, settings, seed)


def forward(
    model: Model | str | Path,
    *,
    task: str | None = None,
    seed: int = 0,
    sentences: list[str] | None = None,
    **settings: Json,
) -> Workload:
    """Forward passes of a model without gradients, as in classification or embedding.

    Args:
        model: a model, or the path of a local folder.
        task: defaults to the model's first that applies.
        seed: of the weights and of the inputs.
        sentences: real text for the model's own tokenizer, repeated to fill the batch; random tokens where ``None``.
        settings: ``batch_size`` and ``sequence_length`` (with sentences: the longest that is kept).

    Raises:
        UserError: an unknown task or setting, or a value out of range.
    """
    extra = {"sentences": sentences} if sentences else {}
    return _workload(FORWARD, resolve(model), FORWARD_TASKS, task, FORWARD_DEFAULTS, settings, seed, extra)


def _workload(
    program: str,
    model: Model,
    accepted: tuple[str, ...],
    task: str | None,
    defaults: Mapping[str, Json],
    settings: Mapping[str, Json],
    seed: int,
    extra: Mapping[str, Json] | None = None,
) -> Workload:
    _check(settings, defaults)
    chosen, class_name = model.class_for(task, accepted)
    fixed = {"model": {"class": class_name, **model.source}, "task": chosen, "seed": seed, **(extra or {})}
    vanilla = Workload(program, {**fixed, **defaults})
    named = {"task": task} if task else {}
    return Workload(program, {**fixed, **defaults, **settings}, model.name, {**named, **settings}, vanilla.sha256)


def _check(settings: Mapping[str, Json], defaults: Mapping[str, Json]) -> None:
    for name, value in settings.items():
        if name not in defaults:
            raise UserError(f"unknown setting {name!r}; known are {', '.join(defaults)}")
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise UserError(f"setting {name!r} must be a positive whole number, not {value!r}")
