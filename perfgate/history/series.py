"""Series: the points of one metric of one case, in order of time."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from perfgate.history.points import Run
from perfgate.history.store import MEMORY, WAY, Store, select_points
from perfgate.shared.errors import UserError, nearest
from perfgate.shared.metric import FIRST_WAY, Metric
from perfgate.shared.metrics import metric

CASES_AT_ONCE = 200  # they are in memory together
SERIES = f"case_id, metric, {WAY}"  # what makes a series


@dataclass(frozen=True)
class Series:
    """The points of one metric of one case on one machine, in order of time, all measured in one way.

    Attributes:
        runs: the id of each point's run.
        values: in the metric's unit.
        levels: what is compared: in yardsticks where every point has them, else the values.
        accepted: who accepted a regression at this point, and why, by index.
        way: the number of the way in which all of them were measured; another way makes a series of its own.
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
        """The case, and before which version of Perfgate it was measured, if that was in another way than today's."""
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
        runs: by id, in order of time.
    """

    name: str
    runs: Mapping[str, Run]

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The place of each run in time, by id."""
        return {run_id: number for number, run_id in enumerate(self.runs)}


class Opened:
    """The history of one machine, sorted for reading; made by ``opened``.

    Attributes:
        machine: with its runs.
    """

    def __init__(self, database: Any, name: str) -> None:
        self._database = database
        self.machine = Machine(name, runs_of(database, name))

    def varying(self) -> int:
        """How many series there are of metrics that vary from run to run."""
        names = [row[0] for row in self._database.execute("select distinct metric from points").fetchall()]
        noisy = [name for name in names if not metric(name).exact]
        return int(
            self._database.execute(
                f"select count(distinct ({SERIES})) from points where list_contains(?, metric)", [noisy]
            ).fetchone()[0]
        )

    def count(self) -> int:
        """How many series there are."""
        return int(self._database.execute(f"select count(distinct ({SERIES})) from points").fetchone()[0])

    def series(self, case: str = "", moving: bool = False) -> Iterator[Series]:
        """All series, or those of the cases whose id holds ``case``.

        Args:
            case: a case's id, or a part of it.
            moving: leaves out those whose value was never another one.

        Raises:
            UserError: no case's id holds it.
        """
        cases = self._database.execute("select distinct case_id from points order by 1").fetchall()
        known = [row[0] for row in cases]
        chosen = [one for one in known if case in one]
        if not chosen:
            raise UserError(f"no case of {self.machine.name} has {case!r} in its id{nearest(case, known)}")
        for start in range(0, len(chosen), CASES_AT_ONCE):
            part = chosen[start : start + CASES_AT_ONCE]
            for found in grouped(self._database, part[0], part[-1], moving):
                if case in found.case:
                    yield found


@contextmanager
def opened(store: Store, name: str) -> Iterator[Opened]:
    """Open the history of one machine."""
    import duckdb

    with TemporaryDirectory() as scratch, duckdb.connect() as database:
        path = store.sorted_file(name, Path(scratch))
        database.execute(f"set memory_limit = '{MEMORY}'")
        points = select_points(database, f"'{path}'")
        database.execute(f"create view points as {points}")
        yield Opened(database, name)


def runs_of(database: Any, name: str) -> dict[str, Run]:
    """The runs of a machine by id, in order of time."""
    rows = database.execute(
        "select run_id, any_value(created), any_value(commit_id), any_value(software) from points group by run_id "
        "order by 2, 1"
    ).fetchall()
    return {run_id: Run(run_id, created, name, commit, software) for run_id, created, commit, software in rows}


def grouped(database: Any, first: str, last: str, moving: bool) -> Iterator[Series]:
    """The series of the cases from one id to another."""
    # Lists are dear, so those of series that never moved are not made.
    only = f"and ({SERIES}) in (select ({SERIES}) from points where case_id between $first and $last "
    only += f"group by {SERIES} having min(value) <> max(value)) "
    table = database.execute(
        f"select {SERIES}, list(run_id order by created, run_id), list(value order by created, run_id), "
        "list(yardsticks order by created, run_id), list(accepted order by created, run_id) from points "
        f"where case_id between $first and $last {only if moving else ''}group by {SERIES} order by {SERIES}",
        {"first": first, "last": last},
    )
    while rows := table.fetchmany(50):
        for case, name, way, runs, values, yardsticks, accepted in rows:
            levels = values if any(one is None for one in yardsticks) else yardsticks
            told = {i: why for i, why in enumerate(accepted) if why}
            yield Series(case, name, runs, values, levels, told, way)
