"""Makes workloads of training, generation, serving and forward passes from a model and settings.

The workload with all settings at their defaults is the vanilla one of its model and task. Others are compared with it.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from perfgate.shared.errors import UserError
from perfgate.shared.settings import (
    DENOISER_TRAINING,
    FORWARD,
    GENERATION,
    IMAGE_GENERATION,
    MODEL_LOADING,
    SERVING,
    TRAINING,
    Kind,
)
from perfgate.shared.workload import Json, Workload
from perfgate.workloads.models import sentence_pairs, text_data
from perfgate.workloads.models.model import Model, resolve
from perfgate.workloads.programs import workload_of

LOOPS = {
    "trainer": "training.trainer",
    "seq2seq-trainer": "training.seq2seq-trainer",
    "accelerate": "training.accelerate",
}
TRAINING_TASKS = ("causal-lm", "sequence-classification", "masked-lm", "seq2seq-lm", "image-classification")
GENERATION_TASKS = ("causal-lm", "seq2seq-lm")
SERVING_TASKS = ("causal-lm",)
IMAGE_TASKS = ("text-to-image",)
FORWARD_TASKS = ("masked-lm", "sequence-classification", "embedding", "causal-lm", "image-classification")


def training(
    model: Model | str | Path,
    *,
    task: str | None = None,
    loop: str = "trainer",
    seed: int = 0,
    data: text_data.Data | None = None,
    **settings: Json,
) -> Workload:
    """Build a workload that trains a model; a step is one update of the weights, with all of its micro-batches.

    Args:
        model: a model, the path of a local folder, or ``org/name@COMMIT`` of the hub.
        task: the task to train for; defaults to the first of the model's tasks that can be trained.
        loop: ``trainer`` for ``transformers.Trainer``, ``seq2seq-trainer`` for ``Seq2SeqTrainer``, ``accelerate`` for a
            plain loop over ``Accelerator``.
        seed: the seed of random weights and random data.
        data: real text in place of random tokens. For ``causal-lm``: texts, conversations, or a file of a data set on
            the hub (``perfgate.workloads.models.text_data``), all through the model's own tokenizer. For
            ``seq2seq-lm``: pairs of sentences in an installed package (``perfgate.workloads.models.sentence_pairs``).
        settings: the settings by name; ``docs/settings.md`` lists them.

    Raises:
        UserError: an unknown task, loop or setting, a value out of range, or settings that exclude each other.
    """
    if loop not in LOOPS:
        raise UserError(f"training: unknown loop {loop!r}; choose {' or '.join(LOOPS)}")
    found = resolve(model)
    chosen, _ = found.class_for(task, TRAINING_TASKS)
    extra = {} if data is None else {"data": read_data(data, found, chosen, loop)}
    workload = _workload(LOOPS[loop], found, TRAINING_TASKS, task, TRAINING, settings, seed, extra, loop)
    return workload if loop == "trainer" else replace(workload, setting={"loop": loop, **workload.setting})


def generation(
    model: Model | str | Path,
    *,
    task: str | None = None,
    seed: int = 0,
    prompts: text_data.Texts | sentence_pairs.Pairs | None = None,
    **settings: Json,
) -> Workload:
    """Build a workload that generates a fixed number of tokens; a step is one call of ``generate``.

    Args:
        model: a model, the path of a local folder, or ``org/name@COMMIT`` of the hub.
        task: ``causal-lm`` or ``seq2seq-lm``; defaults to the first of these that the model has.
        seed: the seed of random weights and random prompts.
        prompts: real prompts in place of random tokens, repeated until the batch is full. For ``causal-lm``: texts or
            conversations (``perfgate.workloads.models.text_data``). For ``seq2seq-lm``: pairs of sentences
            (``perfgate.workloads.models.sentence_pairs``), of which only the source sentences are used.
        settings: the settings by name; ``docs/settings.md`` lists them.

    Raises:
        UserError: an unknown task or setting, a value out of range, or settings that exclude each other.
    """
    found = resolve(model)
    extra = {} if prompts is None else {"prompts": read_prompts(prompts, found)}
    return _workload("generation", found, GENERATION_TASKS, task, GENERATION, settings, seed, extra)


def serving(model: Model | str | Path, *, seed: int = 0, **settings: Json) -> Workload:
    """Build a workload that answers a set of requests of different lengths by greedy decoding.

    A step answers all requests. Its token count is the number of generated tokens.

    Args:
        model: a causal language model, the path of a local folder, or ``org/name@COMMIT`` of the hub.
        seed: the seed of random weights and random requests.
        settings: the settings by name; ``docs/settings.md`` lists them.

    Raises:
        UserError: an unknown setting, a value out of range, or settings that exclude each other.
    """
    return _workload("serving", resolve(model), SERVING_TASKS, None, SERVING, settings, seed)


def forward(
    model: Model | str | Path,
    *,
    task: str | None = None,
    seed: int = 0,
    sentences: list[str] | None = None,
    **settings: Json,
) -> Workload:
    """Build a workload that runs a model forward without gradients, as in classification or embedding.

    Args:
        model: a model, the path of a local folder, or ``org/name@COMMIT`` of the hub.
        task: defaults to the first of the model's tasks that has a forward pass of this kind.
        seed: the seed of random weights and random inputs.
        sentences: real text in place of random tokens, repeated until the batch is full.
        settings: the settings by name; ``docs/settings.md`` lists them.

    Raises:
        UserError: an unknown task or setting, a value out of range, or settings that exclude each other.
    """
    extra = {"sentences": sentences} if sentences else {}
    return _workload("forward", resolve(model), FORWARD_TASKS, task, FORWARD, settings, seed, extra)


def image_generation(
    model: Model | str | Path, *, task: str | None = None, seed: int = 0, **settings: Json
) -> Workload:
    """Build a workload that generates images by denoising; a step makes one batch of images.

    Args:
        model: a model whose configuration contains those of a ``denoiser`` and a ``vae`` of diffusers, and of a
            ``text_encoder`` if prompts are used.
        task: ``text-to-image``, the only one.
        seed: the seed of random weights and prompts.
        settings: the settings by name; ``docs/settings.md`` lists them.

    Raises:
        UserError: an unknown setting, a value out of range, or settings that exclude each other.
    """
    return _workload("image_generation", resolve(model), IMAGE_TASKS, task, IMAGE_GENERATION, settings, seed)


def denoiser_training(
    model: Model | str | Path, *, task: str | None = None, seed: int = 0, **settings: Json
) -> Workload:
    """Build a workload that trains the denoiser of an image model; a step is one update of its weights.

    The denoiser learns to predict the noise that was added to latent images; the loss is the mean squared error.
    Images and prompts are already encoded, as training scripts do once in advance, so the encoders do not run.

    Args:
        model: a model whose configuration contains that of a ``denoiser`` of diffusers.
        task: ``text-to-image``, the only one.
        seed: the seed of random weights, images and noise.
        settings: the settings by name; ``docs/settings.md`` lists them.

    Raises:
        UserError: an unknown setting, a value out of range, or settings that exclude each other.
    """
    return _workload("denoiser_training", resolve(model), IMAGE_TASKS, task, DENOISER_TRAINING, settings, seed)


def loading(model: Model | str | Path, *, task: str | None = None, seed: int = 0, **settings: Json) -> Workload:
    """Build a workload that loads a model from its files and calls it once; a step is both.

    The files are written once, by ``save_pretrained``, with weights from the seed; each step finds them in the
    system's page cache.

    Args:
        model: a model, the path of a local folder, or ``org/name@COMMIT`` of the hub.
        task: defaults to the first of the model's tasks that has a forward pass.
        seed: the seed of random weights and of the first call's inputs.
        settings: the settings by name; ``docs/settings.md`` lists them.

    Raises:
        UserError: an unknown task or setting, a value out of range, or settings that exclude each other.
    """
    return _workload("loading", resolve(model), FORWARD_TASKS, task, MODEL_LOADING, settings, seed)


def read_data(data: text_data.Data, model: Model, task: str, loop: str) -> Json:
    """Check training data, which is text or pairs of sentences, and return it as JSON.

    Raises:
        UserError: the task or the loop cannot use such data.
    """
    if task == "seq2seq-lm" and loop != "accelerate":
        return sentence_pairs.read_pairs(data)
    if task != "causal-lm":
        raise UserError(f"training: data is text for causal-lm; leave it out for other tasks of {model.name!r}")
    return text_data.read_data(data, model)


def read_prompts(prompts: text_data.Texts | sentence_pairs.Pairs, model: Model) -> Json:
    """Check prompts, which are texts to continue or sentences to translate, and return them as JSON."""
    return sentence_pairs.read_pairs(prompts) if isinstance(prompts, Mapping) else text_data.read_texts(prompts, model)


def _workload(
    program: str,
    model: Model,
    accepted: tuple[str, ...],
    task: str | None,
    kind: Kind,
    settings: Mapping[str, Json],
    seed: int,
    extra: Mapping[str, Json] | None = None,
    loop: str = "",
) -> Workload:
    kind.check(settings)
    chosen, class_name = model.class_for(task, accepted)
    config = model.source.get("config", {})
    kind.check_together(settings, loop=loop, task=chosen, config=config, text=bool(extra))
    fixed = {"model": {"class": class_name, **model.source}, "task": chosen, "seed": seed, **(extra or {})}
    vanilla = workload_of(program, {**fixed, **kind.sizes}, place=model.place)
    named = {"task": task} if task else {}
    setting = {**named, **settings}
    params = {**fixed, **kind.params(settings)}
    about = {"model": model.name, "setting": setting, "vanilla": vanilla.sha256, "place": model.place}
    return workload_of(program, params, **about)
