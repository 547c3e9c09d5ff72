"""Real text through a model's own tokenizer and chat template."""

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
from datasets import Dataset, load_dataset

from perfgate.shared.model_files import cached_file

BUILDERS = {"parquet": "parquet", "jsonl": "json", "json": "json", "csv": "csv", "txt": "text"}
COLUMNS = ("messages", "text")


def text_rows(tokenizer: Any, data: Any, rows: int, length: int) -> Any:
    """Samples for causal language modelling: texts one after the other, each with its end, cut into equal pieces.

    So no sample is padded. Where the data ends it begins again.

    Args:
        tokenizer: of the model.
        data: texts and conversations, or where a data set lies, as ``perfgate.models.text_data.read_data`` returns it.
        rows: how many samples.
        length: tokens a sample.

    Raises:
        ValueError: there is no text in it.
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
    """The tokens of a text and its end, or of a conversation."""
    if not isinstance(item, str):
        return list(tokenizer(templated(tokenizer, item, False), add_special_tokens=False)["input_ids"])
    end = tokenizer.eos_token_id
    return [*tokenizer(item)["input_ids"], *([] if end is None else [end])]


def templated(tokenizer: Any, conversation: Any, answer: bool) -> str:
    """A conversation as the model's chat template writes it; with ``answer`` up to where the model is to speak."""
    return str(tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=answer))


def prompt_batch(tokenizer: Any, prompts: list[Any], batch_size: int, length: int) -> dict[str, Any]:
    """Prompts, repeated to fill the batch, padded on the left to the longest of them."""
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
    """Texts or conversations of a data set's file, one by one; it lies in the hub's cache.

    Raises:
        FileNotFoundError: it does not.
        ValueError: it has no such column.
    """
    path = cached_file(data["hub"], data["revision"], data["file"], "dataset")
    if path is None:
        raise FileNotFoundError(f"{data['file']} of {data['hub']}@{data['revision']} is not in the hub's cache")
    builder = BUILDERS[data["file"].rpartition(".")[2]]
    # Streamed, as a step needs a few rows of what may be a large file.
    for row in load_dataset(builder, data_files=str(path), split="train", streaming=True):
        names = [data["column"]] if "column" in data else COLUMNS
        column = next((name for name in names if name in row), None)
        if column is None:
            raise ValueError(f"{data['file']} has no column {' or '.join(names)}; it has {', '.join(row)}")
        if row[column]:
            yield row[column]
