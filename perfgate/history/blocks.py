"""Blocks: the points of neighbouring cases as columns, read from parts of sorted files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from perfgate.history.index import Index

TEXTS = ("case_id", "metric", "run_id", "accepted")
NUMBERS = ("value", "yardsticks")


@dataclass(frozen=True)
class Block:
    """The points of some neighbouring cases, sorted by case, metric and time.

    Attributes:
        names: the case and the metric of each series, the metric as the column ``metric`` has it.
        starts: the index of each series' first point; the last element is the number of points.
        runs: the place of each point's run among the machine's runs.
        values: the values in the metric's unit.
        yardsticks: the same values in yardsticks; NaN for points without a yardstick.
        accepted: who accepted a regression, and why, by the index of the point.
    """

    names: Sequence[tuple[str, str]]
    starts: NDArray[np.int64]
    runs: NDArray[np.int32]
    values: NDArray[np.float64]
    yardsticks: NDArray[np.float64]
    accepted: Mapping[int, str]

    def levels(self) -> NDArray[np.float64]:
        """The compared values: in yardsticks if every point of a series has them, else in the metric's unit."""
        if not self.names:
            return self.values
        lacks = np.logical_or.reduceat(np.isnan(self.yardsticks), self.starts[:-1])
        return np.where(np.repeat(lacks, np.diff(self.starts)), self.values, self.yardsticks)


class SortedFile:
    """A file whose points are sorted by case; it is read by parts.

    It stays readable when another process removes it.

    Args:
        path: the file.
        footer: the file's metadata, if it was read before.

    Raises:
        FileNotFoundError: another process has removed it already.
    """

    def __init__(self, path: Path, footer: Any = None) -> None:
        import pyarrow.parquet as pq

        file = pq.ParquetFile(path, metadata=footer, read_dictionary=list(TEXTS))
        self.rows: int = file.metadata.num_rows
        place = file.schema_arrow.names.index("case_id")
        parts = [file.metadata.row_group(number).column(place).statistics for number in range(file.num_row_groups)]
        self._bounds = [(part.min, part.max) if part and part.has_min_max else None for part in parts]
        # Neighbouring blocks share a part of the file.
        self._part = lru_cache(maxsize=1)(partial(file.read_row_group, columns=[*TEXTS, *NUMBERS], use_threads=False))

    def between(self, first: str, last: str) -> list[Any]:
        """The parts of the file, as tables, with the cases from one id to another, and a few neighbours."""
        return [
            self._part(number)
            for number, bounds in enumerate(self._bounds)
            if bounds is None or (bounds[0] <= last and first <= bounds[1])
        ]


class Columns:
    """Makes blocks from the tables of sorted files; texts become positions in the index."""

    def __init__(self, index: Index) -> None:
        self._cases = list(index.metrics)
        self._metrics = index.names()
        self._places = {
            "case_id": places(self._cases), "metric": places(self._metrics), "run_id": places(list(index.runs)),
        }  # fmt: skip
        self._accepted = {"": 0}
        self._last: dict[str, tuple[Any, Any]] = {}

    def block(self, tables: Sequence[Any], chosen: Sequence[str]) -> Block:
        """The points of the chosen cases."""
        wanted = np.zeros(len(self._cases), dtype=bool)
        wanted[[self._places["case_id"][case] for case in chosen]] = True
        parts = zip(*(self._part(table, wanted) for table in tables), strict=True)
        series, runs, accepted, values, yardsticks = map(np.concatenate, parts)
        keys = series.astype(np.int64) * len(self._places["run_id"]) + runs
        if np.any(keys[1:] < keys[:-1]):  # each file is sorted, so for several files a stable sort merges them
            order = np.argsort(keys, kind="stable")
            series, runs, accepted, values, yardsticks = (
                column[order] for column in (series, runs, accepted, values, yardsticks)
            )
        begins = np.append(0, np.flatnonzero(series[1:] != series[:-1]) + 1)
        told = list(self._accepted)
        names = [divmod(int(number), len(self._metrics)) for number in series[begins]]
        return Block(
            [(self._cases[case], self._metrics[name]) for case, name in names],
            np.append(begins, len(series)),
            runs,
            values,
            yardsticks,
            {int(place): told[accepted[place]] for place in np.flatnonzero(accepted)},
        )

    def _part(self, table: Any, wanted: NDArray[np.bool_]) -> tuple[NDArray[Any], ...]:
        """The columns of one table: the number of the series, the run, who accepted, and both kinds of value."""
        case, name, run = (self._coded(table, key, known.__getitem__) for key, known in self._places.items())
        accepted = self._coded(table, "accepted", lambda text: self._accepted.setdefault(text, len(self._accepted)))
        columns = (case * len(self._metrics) + name, run, accepted, *(table.column(key).to_numpy() for key in NUMBERS))
        rows = np.flatnonzero(wanted[case])
        together = len(rows) and rows[-1] - rows[0] == len(rows) - 1
        chosen = slice(rows[0], rows[-1] + 1) if together else rows  # a slice copies nothing
        return tuple(column[chosen] for column in columns)

    def _coded(self, table: Any, name: str, place: Callable[[str], int]) -> NDArray[np.int32]:
        """The positions of the texts of a column."""
        texts = table.column(name).unify_dictionaries().combine_chunks()
        before, found = self._last.get(name, (None, None))
        if before is None or not before.equals(texts.dictionary):  # many parts of a file have the same runs
            found = np.asarray([place(text) for text in texts.dictionary.to_pylist()], dtype=np.int32)
            self._last[name] = (texts.dictionary, found)
        return np.asarray(found.take(np.asarray(texts.indices)))


def places(names: Sequence[str]) -> dict[str, int]:
    """The position of each name."""
    return {name: place for place, name in enumerate(names)}
