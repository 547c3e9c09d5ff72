"""Series: the points of one metric of one case, in order of time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from perfgate.history.blocks import Block, Columns, SortedFile
from perfgate.history.failures import intact
from perfgate.history.index import Index, index_of, joined, read_index
from perfgate.history.points import Run
from perfgate.history.store import ATTEMPTS, Store
from perfgate.history.table import metric_and_way, quoted, write_sorted
from perfgate.shared.errors import UserError, nearest
from perfgate.shared.metric import FIRST_WAY, Metric
from perfgate.shared.metrics import metric

POINTS_AT_ONCE = 250_000  # the most points that are in memory together


@dataclass(frozen=True)
class Series:
    """The points of one metric of one case on one machine, in order of time, all measured in one way.

    Attributes:
        runs: the id of each point's run.
        values: the values in the metric's unit.
        levels: the compared values: in yardsticks if every point has them, else the same as ``values``.
        accepted: who accepted a regression at this point, and why, by index.
        way: the number of the way in which all of them were measured; each way makes a series of its own.
    """

    case: str
    metric: str
    runs: Sequence[str]
    values: Sequence[float]
    levels: Sequence[float]
    accepted: Mapping[int, str]
    way: int = FIRST_WAY

    @property
    def name(self) -> str:
        """The case; with a remark on the version of Perfgate if the series was measured in an earlier way."""
        now = self.row
        return self.case if self.way == now.way else f"{self.case} (measured as before version {now.way_since})"

    @property
    def row(self) -> Metric:
        """The metric's row in the registry."""
        return metric(self.metric)


@dataclass(frozen=True)
class Machine:
    """The history of one machine.

    Attributes:
        runs: the runs by id, in order of time.
    """

    name: str
    runs: Mapping[str, Run]

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The index of each run in order of time, by id."""
        return {run_id: number for number, run_id in enumerate(self.runs)}

    @cached_property
    def created(self) -> Mapping[str, str]:
        """The moment when each run began, as text, by id."""
        return {run_id: run.created.isoformat() for run_id, run in self.runs.items()}


class Opened:
    """The history of one machine, sorted for reading; made by ``opened``.

    Attributes:
        index: its contents.
        machine: the machine with its runs.
    """

    def __init__(self, index: Index, files: Sequence[SortedFile], name: str) -> None:
        self.index = index
        self.machine = Machine(name, index.runs)
        self._files = files
        self._run_ids = list(index.runs)

    def blocks(self, case: str = "") -> Iterator[Block]:
        """The points of all cases, or of those whose id contains ``case``, a few cases at a time.

        Raises:
            UserError: no case's id contains it.
        """
        cases, columns = list(self.index.metrics), Columns(self.index)
        if not any(case in one for one in cases):
            raise UserError(f"no case of {self.machine.name} has {case!r} in its id{nearest(case, cases)}")
        at_once = max(POINTS_AT_ONCE * len(cases) // sum(file.rows for file in self._files), 1)
        for start in range(0, len(cases), at_once):
            if chosen := [one for one in cases[start : start + at_once] if case in one]:
                with intact(f"the history of {self.machine.name}"):
                    tables = [table for file in self._files for table in file.between(chosen[0], chosen[-1])]
                    block = columns.block(tables, chosen)
                yield block

    def series(self, case: str = "") -> Iterator[Series]:
        """All series, or those of the cases whose id contains ``case``.

        Raises:
            UserError: no case's id contains it.
        """
        for block in self.blocks(case):
            for place in range(len(block.names)):
                yield self.series_of(block, place)

    def series_of(self, block: Block, place: int) -> Series:
        """One series of a block."""
        start, end = map(int, block.starts[place : place + 2])
        values, yardsticks = block.values[start:end], block.yardsticks[start:end]
        case, named = block.names[place]
        name, way = metric_and_way(named)
        return Series(
            case,
            name,
            [self._run_ids[run] for run in block.runs[start:end]],
            values.tolist(),
            (values if np.isnan(yardsticks).any() else yardsticks).tolist(),
            {point - start: why for point, why in block.accepted.items() if start <= point < end},
            way,
        )


@contextmanager
def opened(store: Store, name: str, case: str = "") -> Iterator[Opened]:
    """Open the history of one machine.

    Args:
        store: the store of the history.
        name: the machine's name.
        case: a part of the ids of the cases that will be read; the points of others may be left out.

    Raises:
        UserError: the store has no history of this machine, or its files change too often.
    """
    with TemporaryDirectory() as scratch:
        for _ in range(ATTEMPTS):
            with suppress(FileNotFoundError):  # another process merged a file meanwhile
                found = sorted_files(store, name, case, Path(scratch))
                break
        else:
            raise store.restless(name)
        yield Opened(joined(index for index, _ in found), [file for _, file in found], name)


def sorted_files(store: Store, name: str, case: str, scratch: Path) -> list[tuple[Index, SortedFile]]:
    """The points of a machine in files sorted by case, each with its index.

    Merged files are read in place, by parts. The others, with one run each, are first merged into one local file.
    """
    files = store.stored(name)
    if not files:
        known = ", ".join(store.machines()) or "none"
        raise UserError(f"{store.url}: holds no history of machine {name!r}; machines with a history: {known}")
    with intact(f"{store.url}: the history of {name}"):
        merged = [one for one in files if one.index and len(one.runs) == one.held]
    rest = [one for one in files if one.runs and one not in merged]
    found = []
    for one in merged:
        with intact(one.path):
            found.append((read_index(one.index, name), SortedFile(store.fetched(one, scratch), one.footer)))
    if rest:
        target = scratch / "sorted.parquet"
        with intact(f"{store.url}: the history of {name}"), store.query(name, rest) as database:
            write_sorted(database, target, only=f"where contains(case_id, {quoted(case)})")
            found.append((index_of(database, name), SortedFile(target)))
    return found
