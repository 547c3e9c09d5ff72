"""From a model and its settings to a workload: training, generation, forward pass.

A workload built with no settings is vanilla: what every setting of the same model and task is held against.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from perfgate import text
from perfgate.errors import UserError
from perfgate.model import Model, resolve
from perfgate.possible import check_possible
from perfgate.settings import GENERATING, PASSING, TRAINING, Known
from perfgate.workload import Json, Workload

PROGRAMS = "perfgate.actor.programs"
LOOPS = {
    "trainer": f"{PROGRAMS}.trainer:TrainerLoop",
    "accelerate": f"{PROGRAMS}.accelerated:AcceleratedLoop",
}
GENERATION = f"{PROGRAMS}.generation:Generation"
FORWARD = f"{PROGRAMS}.forward:Forward"

TRAINING_TASKS = ("causal-lm", "sequence-classification", "masked-lm", "seq2seq-lm", "image-classification")
GENERATION_TASKS = ("causal-lm", "seq2seq-lm")
FORWARD_TASKS = ("masked-lm", "sequence-classification", "embedding", "causal-lm", "image-classification")


def training(
    model: Model | str | Path,
    *,
    task: str | None = None,
    loop: str = "trainer",
    seed: int = 0,
    data: text.Data | None = None,
    **settings: Json,
) -> Workload:
    """Steps of training; a step is one update of the weights, with all of its accumulated micro-batches.

    Args:
        model: a model, the path of a local folder, or ``org/name@COMMIT`` of the hub.
        task: defaults to the model's first that can be trained.
        loop: ``trainer`` for ``transformers.Trainer``, ``accelerate`` for a plain loop over ``Accelerator``.
        seed: of the weights and of the data.
        data: real text for a causal language model's own tokenizer, in place of random tokens: texts, conversations, or
            a file of a data set on the hub (``perfgate.text``).
        settings: ``batch_size`` (of a micro-batch), ``gradient_accumulation`` (micro-batches a step) and
            ``sequence_length`` in tokens; ``precision`` (``bf16`` holds the weights in it, ``bf16-amp`` and
            ``fp16-amp`` cast as they go), ``optimizer`` (as ``TrainingArguments.optim`` names it),
            ``activation_checkpointing``, ``lora_rank`` (0 trains all weights), ``attention`` and ``compile``;
            ``strategy`` (``ddp``, ``fsdp``, ``fsdp-offload``, ``tp``) and ``ranks``, the number of processes that share
            a step, each with batches of its own unless they split the model (``tp``).

    Raises:
        UserError: an unknown task, loop or setting, a value out of range, or settings that exclude each other.
    """
    if loop not in LOOPS:
        raise UserError(f"training: unknown loop {loop!r}; choose {' or '.join(LOOPS)}")
    found = resolve(model)
    extra = {} if data is None else {"data": text.read_data(data, found)}
    if extra and found.class_for(task, TRAINING_TASKS)[0] != "causal-lm":
        raise UserError(f"training: data is text for causal-lm; leave it out for other tasks of {found.name!r}")
    workload = _workload(LOOPS[loop], found, TRAINING_TASKS, task, TRAINING, settings, seed, extra)
    return workload if loop == "trainer" else replace(workload, setting={"loop": loop, **workload.setting})


def generation(
    model: Model | str | Path,
    *,
    task: str | None = None,
    seed: int = 0,
    prompts: text.Texts | None = None,
    **settings: Json,
) -> Workload:
    """Greedy generation of a fixed number of tokens; a step is one call of ``generate``.

    Args:
        model: a model, the path of a local folder, or ``org/name@COMMIT`` of the hub.
        task: ``causal-lm`` or ``seq2seq-lm``; defaults to the model's first of these.
        seed: of the weights and of the prompts.
        prompts: real texts or conversations (``perfgate.text``) for the model's own tokenizer, repeated to fill the
            batch; random tokens where ``None``.
        settings: ``batch_size``, ``prompt_length`` (with prompts: the longest that is kept) and ``new_tokens``; prompts
            of a batch are ragged, padded on the left. ``precision`` of weights and arithmetic, ``attention`` and
            ``compile``.

    Raises:
        UserError: an unknown task or setting, a value out of range, or settings that exclude each other.
    """
    found = resolve(model)
    extra = {} if prompts is None else {"prompts": text.read_texts(prompts, found)}
    return _workload(GENERATION, found, GENERATION_TASKS, task, GENERATING, settings, seed, extra)


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
        model: a model, the path of a local folder, or ``org/name@COMMIT`` of the hub.
        task: defaults to the model's first that applies.
        seed: of the weights and of the inputs.
        sentences: real text for the model's own tokenizer, repeated to fill the batch; random tokens where ``None``.
        settings: ``batch_size`` and ``sequence_length`` (with sentences: the longest that is kept); ``precision``,
            ``attention`` and ``compile``.

    Raises:
        UserError: an unknown task or setting, a value out of range, or settings that exclude each other.
    """
    extra = {"sentences": sentences} if sentences else {}
    return _workload(FORWARD, resolve(model), FORWARD_TASKS, task, PASSING, settings, seed, extra)


def _workload(
    program: str,
    model: Model,
    accepted: tuple[str, ...],
    task: str | None,
    known: Known,
    settings: Mapping[str, Json],
    seed: int,
    extra: Mapping[str, Json] | None = None,
) -> Workload:
    known.check(settings)
    check_possible(settings)
    chosen, class_name = model.class_for(task, accepted)
    fixed = {"model": {"class": class_name, **model.source}, "task": chosen, "seed": seed, **(extra or {})}
    params = {**fixed, **known.numbers, **known.beyond_default(settings)}
    vanilla = Workload(program, {**fixed, **known.numbers})
    named = {"task": task} if task else {}
    return Workload(program, params, model.name, {**named, **settings}, vanilla.sha256)
