"""What a training step reads: rows, how they are chosen and put together, and who fetches them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerFast
from transformers.trainer_pt_utils import LengthGroupedSampler

from perfgate.actor import versions
from perfgate.actor.data.inputs import DATASET_STEPS, training_rows
from perfgate.actor.data.sentence_pairs import pair_rows
from perfgate.actor.data.text import text_rows
from perfgate.actor.techniques.models import build_tokenizer

SPREAD = 0.75  # of the logarithm of lengths
MEDIAN_SHARE = 4  # the median length is this part of the longest
SHORTEST = 4
SAMPLERS = {
    "RandomSampler": "random",
    "SeedableRandomSampler": "random",
    "SequentialSampler": "sequential",
    "LengthGroupedSampler": "group_by_length",
    "BatchRebalanceSampler": "batch_rebalance",
}


@dataclass(frozen=True)
class LoadingSettings:
    """The settings of the Trainer's loader; a workload leaves out what is at its default."""

    lengths: str = "equal"
    sampling: str = "random"
    packing: bool = False
    pad_to_multiple_of: int = 0
    workers: int = 0
    prefetch: int = 0
    pin_memory: bool = False


@dataclass(frozen=True)
class Source:
    """What the steps of a training read.

    Attributes:
        rows: a data set.
        collator: makes a batch of some rows; ``None`` for the Trainer's own.
        tokens: real ones that a step reads.
    """

    rows: Any
    collator: Any
    tokens: int


def is_collated(chosen: LoadingSettings, data: Any = None) -> bool:
    """Whether samples may differ in length, so that a collator pads or packs them."""
    is_ragged = chosen.lengths != "equal" or (isinstance(data, dict) and "package" in data)
    return bool(is_ragged or chosen.packing or chosen.pad_to_multiple_of)


def training_source(
    chosen: LoadingSettings,
    config: Any,
    model: dict[str, Any],
    task: str,
    samples: int,
    length: int,
    seed: int,
    data: Any,
) -> Source:
    """Rows and collator.

    Where samples differ in length, the data set has as many as one step reads: so each step reads all of them, and
    steps differ by nothing but the order. Else a sampler by length would make some steps long and others short.

    Args:
        chosen: settings.
        config: of the model.
        model: where it comes from, for its tokenizer.
        task: of the model.
        samples: how many a step reads.
        length: tokens of a sample, or of the longest.
        seed: of random rows.
        data: real text or pairs of sentences, in place of random tokens.
    """
    if not is_collated(chosen, data):
        count = samples * DATASET_STEPS
        if data:
            rows = text_rows(build_tokenizer(model), data, count, length)
        else:
            rows = training_rows(config, task, count, length, seed)
        return Source(rows, None, samples * length)
    if data:
        rows = pair_rows(data, config.vocab_size, samples, length, seed)
    else:
        rows = ragged_rows(chosen, config.vocab_size, task, samples, length, seed)
    return Source(rows, collator_of(chosen), sum(rows["length"]))


def ragged_rows(chosen: LoadingSettings, vocabulary: int, task: str, rows: int, length: int, seed: int) -> Any:
    """Random samples of random lengths, each as a list, as a tokenizer leaves them.

    Lengths are log-normal: the median is a quarter of the longest, and 0.75 the standard deviation of their logarithm.
    What is longer is cut; the first sample has the full length.
    """
    source = np.random.default_rng(seed)
    drawn = length / MEDIAN_SHARE * source.lognormal(sigma=SPREAD, size=(2, rows))
    lengths = np.clip(drawn.round().astype(int), SHORTEST, length)
    lengths[:, 0] = length
    if chosen.lengths == "equal":
        lengths[:] = length
    texts, answers = ([source.integers(1, vocabulary, n).tolist() for n in part] for part in lengths)
    columns = {
        "input_ids": texts,
        "attention_mask": [[1] * len(text) for text in texts],
        "labels": answers if task == "seq2seq-lm" else texts,
        "length": lengths[0].tolist(),
    }
    return Dataset.from_dict(columns)


def collator_of(chosen: LoadingSettings) -> Any:
    """The collator of transformers that packs samples, or pads them to the longest."""
    if chosen.packing:
        return versions.need("DataCollatorWithFlattening", "packing=True")()
    return DataCollatorForSeq2Seq(padding_tokenizer(), pad_to_multiple_of=chosen.pad_to_multiple_of or None)


def padding_tokenizer() -> Any:
    """A tokenizer that knows how to pad, with token 0, and nothing else."""
    from tokenizers import Tokenizer, models  # as the models of transformers are something else

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0}, "<pad>")), pad_token="<pad>"
    )


def step_batches(chosen: LoadingSettings, source: Source, batch_size: int, accumulation: int) -> list[dict[str, Any]]:
    """The micro-batches of one step, as the Trainer's sampler and the collator make them.

    In place of a random order stands the one in which the samples were drawn, which is as good.
    """
    rows = source.rows.remove_columns("length")
    order = step_order(chosen, source.rows["length"], batch_size, accumulation)
    return [dict(source.collator([rows[position] for position in batch])) for batch in order]


def step_order(chosen: LoadingSettings, lengths: Any, batch_size: int, accumulation: int) -> list[list[int]]:
    """Which samples are in which micro-batch of a step; among samples of one length any may stand for another."""
    lengths = list(lengths)
    if chosen.sampling == "batch_rebalance":
        sampler = versions.need("BatchRebalanceSampler", f"sampling={chosen.sampling!r}")
        return [list(batch) for batch in sampler(lengths, len(lengths), 1, accumulation)]
    order = list(range(len(lengths)))
    if chosen.sampling == "group_by_length":
        order = list(LengthGroupedSampler(len(lengths), lengths=lengths))
    return [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]


def endless(loader: Any) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from loader


def loader_arguments(chosen: LoadingSettings) -> dict[str, Any]:
    """The Trainer's arguments for its loader; workers live on, as a ragged data set ends with each step."""
    return {
        "train_sampling_strategy": chosen.sampling,
        "dataloader_num_workers": chosen.workers,
        "dataloader_persistent_workers": chosen.workers > 0,
        "dataloader_prefetch_factor": chosen.prefetch or None,
        "dataloader_pin_memory": chosen.pin_memory,
    }


def loading_in_force(chosen: LoadingSettings, loader: Any) -> dict[str, Any]:
    """The settings as the Trainer's loader has them."""
    batches = loader.batch_sampler
    sampler = type(batches if type(batches).__name__ in SAMPLERS else batches.sampler).__name__
    return {
        "sampling": SAMPLERS.get(sampler, sampler),
        "packing": type(loader.collate_fn).__name__ == "DataCollatorWithFlattening",
        "pad_to_multiple_of": getattr(loader.collate_fn, "pad_to_multiple_of", None) or 0,
        "workers": loader.num_workers,
        # Where it was not asked for, it is torch's own.
        "prefetch": loader.prefetch_factor or 0 if chosen.prefetch else 0,
        "pin_memory": loader.pin_memory,
    }
