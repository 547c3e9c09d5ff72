"""Turns real text into tokens with a model's own tokenizer and chat template."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from datasets import Dataset, load_dataset

from perfgate.shared.model_files import cached_file

BUILDERS = {"parquet": "parquet", "jsonl": "json", "json": "json", "csv": "csv", "txt": "text"}
COLUMNS = ("messages", "text")


def text_rows(tokenizer: Any, data: Any, rows: int, length: int) -> Any:
    """Samples for causal language modelling: the texts are joined and cut into pieces of equal length.

    No sample is padded, therefore. If there is too little text, it is repeated.

    Args:
        tokenizer: the model's tokenizer.
        data: texts and conversations, or the place of a data set, as ``perfgate.workloads.models.text_data.read_data``
            returns it.
        rows: number of samples.
        length: tokens in each sample.

    Raises:
        ValueError: the data holds no text.
    """
    tokens: list[int] = []
    for item in samples(data) if isinstance(data, dict) else data:
        tokens += encoded(tokenizer, item)
        if len(tokens) >= rows * length:
            break
    if not tokens:
        raise ValueError("the data holds no text")
    ids = np.resize(np.asarray(tokens, dtype=np.int64), (rows, length))
    columns = {"input_ids": ids, "attention_mask": np.ones_like(ids), "labels": ids}
    return Dataset.from_dict(columns).with_format("torch")


def encoded(tokenizer: Any, item: Any) -> list[int]:
    """The tokens of a conversation, or of a text with the token that marks its end."""
    if not isinstance(item, str):
        return list(tokenizer(templated(tokenizer, item, False), add_special_tokens=False)["input_ids"])
    end = tokenizer.eos_token_id
    return [*tokenizer(item)["input_ids"], *([] if end is None else [end])]


def templated(tokenizer: Any, conversation: Any, answer: bool) -> str:
    """Write a conversation as text with the model's chat template.

    Args:
        tokenizer: the model's tokenizer.
        conversation: a list of messages.
        answer: whether the text ends with the beginning of the model's answer.
    """
    return str(tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=answer))


def prompt_batch(tokenizer: Any, prompts: list[Any], batch_size: int, length: int) -> dict[str, Any]:
    """A batch of prompts, repeated until the batch is full and padded on the left to the longest of them."""
    tokenizer.padding_side = tokenizer.truncation_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    chosen = list(itertools.islice(itertools.cycle(prompts), batch_size))
    written = [item if isinstance(item, str) else templated(tokenizer, item, True) for item in chosen]
    # A chat template writes the special tokens itself.
    special = all(isinstance(item, str) for item in chosen)
    options = {"padding": True, "truncation": True, "max_length": length, "add_special_tokens": special}
    batch = tokenizer(written, return_tensors="pt", **options)
    return {name: batch[name] for name in ("input_ids", "attention_mask")}


def samples(data: dict[str, Any]) -> Iterable[Any]:
    """Yield the texts or conversations in a data set's file, which was downloaded to the hub's cache.

    Raises:
        FileNotFoundError: the file is not in the cache.
        ValueError: the file has no column of text or conversations.
    """
    path = cached_file(data["hub"], data["revision"], data["file"], "dataset")
    if path is None:
        raise FileNotFoundError(f"{data['file']} of {data['hub']}@{data['revision']} is not in the hub's cache")
    builder = BUILDERS[data["file"].rpartition(".")[2]]
    # Streamed, because a step needs only a few rows and the file may be large.
    for row in load_dataset(builder, data_files=str(path), split="train", streaming=True):
        names = [data["column"]] if "column" in data else COLUMNS
        column = next((name for name in names if name in row), None)
        if column is None:
            raise ValueError(f"{data['file']} has no column {' or '.join(names)}; it has {', '.join(row)}")
        if row[column]:
            yield row[column]
