"""Reads a data set of ``datasets``, row by row or in other ways, without computing anything."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars
from torch.utils.data import DataLoader
from transformers import DataCollatorWithPadding

from perfgate.actor.data.loading import padding_tokenizer
from perfgate.actor.devices.base import Device
from perfgate.actor.programs.base import Program
from perfgate.actor.request import ReadingSettings
from perfgate.shared.settings import asked

BATCH = 32
SHORTEST = 4
VOCABULARY = 1024
SHARDS = 4


class Reading(Program):
    """A step reads all rows once."""

    host_work = True

    def __init__(self, device: Device, what: str, seed: int, **settings: Any) -> None:
        disable_progress_bars()
        self.chosen = chosen = ReadingSettings(**settings)
        source = np.random.default_rng(seed)
        plain = made_rows(source, chosen.rows, chosen.length, equal=what == "loader")
        self.rows = plain if chosen.format == "python" else plain.with_format(chosen.format)
        self.order = source.permutation(chosen.rows).tolist()
        self.samples, self.tokens = chosen.rows, sum(map(len, plain.with_format("arrow")[:]["input_ids"].to_pylist()))
        self.workers: set[int] = set()
        self.loader: Any = None
        self.read = getattr(self, f"prepared_{what}", lambda: getattr(self, what))()

    def step(self) -> None:
        """Read the rows."""
        self.read()

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings from the data set, the loader, and the processes that took part."""
        processes = len(self.workers) if self.loader is None else self.loader.num_workers
        found = {"format": self.rows.format["type"] or "python", "processes": processes}
        return asked(self.chosen), found

    def column(self) -> None:
        """A column's values, one after the other."""
        column = self.rows["label"]
        for position in range(len(self.rows)):
            column[position]

    def rows_in_turn(self) -> None:
        """The rows in a loop."""
        for _ in self.rows:
            pass

    def indices(self) -> None:
        """The rows in a random order, as from a sampler."""
        for position in self.order:
            self.rows[position]

    def batches(self) -> None:
        """Slices of 32 rows."""
        for begin in range(0, len(self.rows), BATCH):
            self.rows[begin : begin + BATCH]

    def map(self) -> None:
        """Compute a new column."""
        made = self.rows.map(
            with_length,
            batched=self.chosen.batched,
            num_proc=self.chosen.processes or None,
            load_from_cache_file=False,
            keep_in_memory=True,
        )
        self.workers = set(made.with_format("arrow")[:]["process"].to_pylist()) - {os.getpid()}

    def pack(self) -> None:
        """Pieces of equal length."""
        self.rows.map(
            pieces,
            batched=True,
            fn_kwargs={"length": self.chosen.length},
            remove_columns=self.rows.column_names,
            load_from_cache_file=False,
            keep_in_memory=True,
        )

    def prepared_rows(self) -> Callable[[], None]:
        """The prepared rows for ``rows``, whose name the data set already has."""
        return self.rows_in_turn

    def prepared_transform(self) -> Callable[[], None]:
        """Rows that a function makes as they are read."""
        rows = self.rows.with_transform(with_length)
        return lambda: exhaust(rows[position] for position in self.order)

    def prepared_stream(self) -> Callable[[], None]:
        """Rows of an iterable data set."""
        rows = self.rows.to_iterable_dataset(num_shards=SHARDS)
        return lambda: exhaust(iter(rows))

    def prepared_collate(self) -> Callable[[], None]:
        """Batches padded to their longest row."""
        collator = DataCollatorWithPadding(padding_tokenizer())
        rows = [{"input_ids": ids} for ids in self.rows.with_format("arrow")[:]["input_ids"].to_pylist()]
        chunks = [rows[begin : begin + BATCH] for begin in range(0, len(rows), BATCH)]
        return lambda: exhaust(collator(chunk) for chunk in chunks)

    def prepared_loader(self) -> Callable[[], None]:
        """Batches of tensors, made here or by workers."""
        rows = self.rows.select_columns(["input_ids", "label"])
        rows = rows.with_format("torch") if self.chosen.format == "python" else rows
        workers = self.chosen.processes
        self.loader = DataLoader(rows, batch_size=BATCH, num_workers=workers, persistent_workers=workers > 0)
        return lambda: exhaust(iter(self.loader))


def exhaust(items: Iterator[Any]) -> None:
    """Read to the end, and keep nothing."""
    for _ in items:
        pass


def made_rows(source: Any, rows: int, length: int, equal: bool) -> Any:
    """A data set of random tokens of different lengths, a label, and a short text."""
    lengths = np.full(rows, length) if equal else source.integers(min(SHORTEST, length), length + 1, rows)
    columns = {
        "input_ids": [source.integers(1, VOCABULARY, count).tolist() for count in lengths],
        "label": list(range(rows)),
        "text": [f"row {number}" for number in range(rows)],
    }
    return Dataset.from_dict(columns)


def with_length(row: dict[str, Any]) -> dict[str, Any]:
    """The length of the tokens, for one row or for many, and the id of the process that computed it."""
    if not isinstance(row["label"], list):
        return {"length": len(row["input_ids"]), "process": os.getpid()}
    return {"length": [len(ids) for ids in row["input_ids"]], "process": [os.getpid()] * len(row["label"])}


def pieces(rows: dict[str, Any], length: int) -> dict[str, Any]:
    """The tokens of all rows, joined and cut into pieces."""
    joined = [token for ids in rows["input_ids"] for token in ids]
    return {"input_ids": [joined[begin : begin + length] for begin in range(0, len(joined), length)]}
