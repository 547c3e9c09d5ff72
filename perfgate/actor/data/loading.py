"""Makes the samples of a training step, with their sampler, collator and loader."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets
from transformers import DataCollatorForSeq2Seq, PreTrainedTokenizerFast
from transformers.trainer_pt_utils import LengthGroupedSampler

from perfgate.actor import versions
from perfgate.actor.data.inputs import DATASET_STEPS, spread, training_rows
from perfgate.actor.data.sentence_pairs import pair_rows
from perfgate.actor.data.text import text_rows
from perfgate.actor.local_models import build_tokenizer
from perfgate.actor.request import Request, TrainingSettings

SPREAD = 0.75  # the standard deviation of the logarithm of the lengths
MEDIAN_SHARE = 4  # the longest sample is this many times as long as the median one
SHORTEST = 4
REPEATS = 64
SAMPLERS = {
    "RandomSampler": "random",
    "SeedableRandomSampler": "random",
    "SequentialSampler": "sequential",
    "LengthGroupedSampler": "group_by_length",
    "BatchRebalanceSampler": "batch_rebalance",
}


@dataclass(frozen=True)
class Source:
    """The data that training reads.

    Attributes:
        rows: a data set with one row for each sample.
        collator: makes a batch of several rows; ``None`` for the Trainer's default.
        tokens: number of real (unpadded) tokens that a step reads.
        one_step: whether a step reads all of them.
    """

    rows: Any
    collator: Any
    tokens: int
    one_step: bool = True

    def repeated(self) -> "Source":
        """The same samples many times over, without copies, so that no epoch ends within a burst of steps.

        Samples that make up just one step stay as they are, as do those that are no table.
        """
        if self.one_step or not isinstance(self.rows, Dataset):
            return self
        return replace(self, rows=concatenate_datasets([self.rows] * REPEATS))


def is_collated(request: Request) -> bool:
    """Whether a collator is needed, which pads or packs samples of different lengths."""
    chosen, text = request.chosen, request.text
    is_ragged = chosen.lengths != "equal" or (isinstance(text, dict) and "package" in text)
    return bool(is_ragged or chosen.packing or chosen.pad_to_multiple_of)


def training_source(request: Request, config: Any) -> Source:
    """Make the data of a workload that trains.

    If samples differ in length, the data set holds exactly the samples of one step. Each step then reads all of them,
    and steps differ only in the order. With more samples, a sampler that groups by length would make some steps long
    and others short.

    Args:
        request: the workload's parameters.
        config: the model's configuration.
    """
    chosen, text, length = request.chosen, request.text, request.chosen.sequence_length
    if not is_collated(request):
        count = chosen.samples if chosen.padded else chosen.samples * DATASET_STEPS
        if text:
            rows = text_rows(build_tokenizer(request.model), text, count, length)
        else:
            options = {"padded": chosen.padded, "masked": chosen.mask == "given"}
            rows = training_rows(config, request.task, count, length, request.seed, **options)
        return Source(rows, None, int(spread(length, chosen.samples, chosen.padded).sum()), bool(chosen.padded))
    if text:
        rows = pair_rows(text, config.vocab_size, chosen.samples, length, request.seed)
    else:
        rows = ragged_rows(chosen, config.vocab_size, request.task, request.seed)
    return Source(rows, collator_of(chosen), sum(rows["length"]))


def ragged_rows(chosen: TrainingSettings, vocabulary: int, task: str, seed: int) -> Any:
    """Random samples of random lengths for one step, each a list of tokens as tokenizers return them.

    Lengths are log-normal: their median is a quarter of the longest length, and their logarithm has a standard
    deviation of 0.75. Samples above the longest length are cut. The first sample has the full length.
    """
    rows, length = chosen.samples, chosen.sequence_length
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


def collator_of(chosen: TrainingSettings) -> Any:
    """transformers' collator that packs samples, or the one that pads them to the longest."""
    if chosen.packing:
        return versions.need("DataCollatorWithFlattening", "packing=True")()
    return DataCollatorForSeq2Seq(padding_tokenizer(), pad_to_multiple_of=chosen.pad_to_multiple_of or None)


def padding_tokenizer() -> Any:
    """A tokenizer that can do nothing but pad with token 0."""
    from tokenizers import Tokenizer, models  # imported here, because `models` means something else elsewhere

    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0}, "<pad>")), pad_token="<pad>"
    )


def step_batches(chosen: TrainingSettings, source: Source) -> list[dict[str, Any]]:
    """The micro-batches of one step that reads the whole data set, as the Trainer's sampler and collator make them.

    If the sampler would shuffle, the samples keep their order, which is already random.
    """
    if source.collator is None:
        size = chosen.batch_size
        return [dict(source.rows[begin : begin + size]) for begin in range(0, chosen.samples, size)]
    rows = source.rows.remove_columns("length")
    order = step_order(chosen, source.rows["length"])
    return [dict(source.collator([rows[position] for position in batch])) for batch in order]


def step_order(chosen: TrainingSettings, lengths: Any) -> list[list[int]]:
    """The positions of the samples in each micro-batch of a step. Only the samples' lengths matter here."""
    lengths, batch_size = list(lengths), chosen.batch_size
    if chosen.sampling == "batch_rebalance":
        sampler = versions.need("BatchRebalanceSampler", f"sampling={chosen.sampling!r}")
        return [list(batch) for batch in sampler(lengths, len(lengths), 1, chosen.gradient_accumulation)]
    order = list(range(len(lengths)))
    if chosen.sampling == "group_by_length":
        order = list(LengthGroupedSampler(len(lengths), lengths=lengths))
    return [order[begin : begin + batch_size] for begin in range(0, len(order), batch_size)]


def endless(loader: Any) -> Iterator[Any]:
    """Yield a loader's batches epoch after epoch, without an end."""
    while True:
        yield from loader


def loader_arguments(chosen: TrainingSettings) -> dict[str, Any]:
    """The Trainer's arguments for its loader.

    Workers are kept from epoch to epoch, because an epoch can be as short as one step.
    """
    return {
        "train_sampling_strategy": chosen.sampling,
        "dataloader_num_workers": chosen.workers,
        "dataloader_persistent_workers": chosen.workers > 0,
        "dataloader_prefetch_factor": chosen.prefetch or None,
        "dataloader_pin_memory": chosen.pin_memory,
    }


def loading_in_force(loader: Any) -> dict[str, Any]:
    """The settings of loading, by name, that are in force in a loader."""
    batches = loader.batch_sampler
    while hasattr(batches, "batch_sampler"):  # a rank's share of the batches wraps the sampler of all ranks
        batches = batches.batch_sampler
    sampler = type(batches if type(batches).__name__ in SAMPLERS else batches.sampler).__name__
    return {
        "sampling": SAMPLERS.get(sampler, sampler),
        "packing": type(loader.collate_fn).__name__ == "DataCollatorWithFlattening",
        "pad_to_multiple_of": getattr(loader.collate_fn, "pad_to_multiple_of", None) or 0,
        "workers": loader.num_workers,
        "prefetch": loader.prefetch_factor or 0,
        "pin_memory": loader.pin_memory,
    }
