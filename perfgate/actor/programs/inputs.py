"""What the programs run on: seeded random tokens, as in the tutorials, in a ``datasets.Dataset``."""

from typing import Any

import numpy as np
import torch
from datasets import Dataset

DATASET_STEPS = 16


def training_rows(config: Any, task: str, rows: int, length: int, seed: int) -> Dataset:
    """Random token ids with the labels that the task wants.

    Args:
        config: the model's configuration.
        task: ``causal-lm``, ``masked-lm``, ``seq2seq-lm`` or ``sequence-classification``.
        rows: how many samples.
        length: tokens a sample.
        seed: of the tokens.
    """
    source = np.random.default_rng(seed)
    tokens = source.integers(1, config.vocab_size, (rows, length))
    if task == "sequence-classification":
        labels = source.integers(0, config.num_labels, rows)
    elif task == "causal-lm":
        labels = tokens
    else:
        labels = source.integers(1, config.vocab_size, (rows, length))
    columns = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "labels": labels}
    return Dataset.from_dict(columns).with_format("torch")


def ragged_prompts(vocabulary: int, batch_size: int, length: int, seed: int) -> tuple[dict[str, Any], int]:
    """Prompts padded on the left, as batched generation wants them, and how many tokens are real.

    The first prompt has the full length; the others' lengths are spread evenly between half of it and all of it.
    """
    source = np.random.default_rng(seed)
    lengths = np.linspace(length, length / 2, batch_size).round().astype(int)
    tokens = torch.from_numpy(source.integers(1, vocabulary, (batch_size, length)))
    mask = torch.from_numpy((np.arange(length) >= length - lengths[:, None]).astype(np.int64))
    return {"input_ids": tokens * mask, "attention_mask": mask}, int(lengths.sum())


def random_batch(vocabulary: int, batch_size: int, length: int, seed: int) -> dict[str, Any]:
    """A full batch of random tokens, taken out of a ``Dataset`` as a user would."""
    source = np.random.default_rng(seed)
    tokens = source.integers(1, vocabulary, (batch_size, length))
    rows = Dataset.from_dict({"input_ids": tokens, "attention_mask": np.ones_like(tokens)}).with_format("torch")
    return dict(rows[:batch_size])


def sentence_batch(tokenizer: Any, sentences: list[str], batch_size: int, length: int) -> dict[str, Any]:
    """Real sentences, repeated to fill the batch, padded to the longest of them."""
    repeated = [sentences[index % len(sentences)] for index in range(batch_size)]
    rows = Dataset.from_dict({"text": repeated})
    return dict(tokenizer(rows["text"][:], padding=True, truncation=True, max_length=length, return_tensors="pt"))
