"""Points: what one run says of each metric of each case, as the history keeps it."""

import json
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from perfgate.gate.launches import gated_values, having, ratios_to_yardstick
from perfgate.records.runfile import RunFile
from perfgate.shared.errors import UserError
from perfgate.shared.metric import FIRST_WAY
from perfgate.shared.metrics import metric


@dataclass(frozen=True)
class Run:
    """What is the same for all points of a run.

    Attributes:
        run_id: names the run; one run is kept once.
        created: when it began.
        machine: the name of the machine, which has a folder of its own in the history.
        commit: of the code under test; empty where the folder was no git repository.
        software: versions of the libraries, as JSON with sorted keys.
    """

    run_id: str
    created: datetime
    machine: str
    commit: str
    software: str


@dataclass(frozen=True)
class Point:
    """What one run says of one metric of one case.

    Attributes:
        value: the median of the launches, in the metric's unit.
        yardsticks: the same in units of the yardstick, which ran beside each step; ``None`` where there was none.
        launches: how many valid launches it rests on.
        accepted: who accepted a regression in this run, and why; empty where nothing was accepted.
        way: the number of the way in which it was measured.
    """

    case: str
    metric: str
    value: float
    yardsticks: float | None
    launches: int
    accepted: str
    way: int = FIRST_WAY


def run_of(run: RunFile) -> Run:
    """The facts of a run that is to be kept.

    Raises:
        UserError: its tree held changes that no commit has, so nobody could find the code again.
    """
    header = run.header
    if header.get("dirty"):
        raise UserError(
            f"run {header['run_id']} was measured on changes that were not committed, and a history needs a "
            "commit that one can return to; commit them, and run again"
        )
    return Run(
        header["run_id"],
        datetime.fromisoformat(header["created"]),
        header["machine"]["name"],
        header.get("commit") or "",
        json.dumps(header.get("software") or {}, sort_keys=True),
    )


def points_of(run: RunFile) -> Iterator[Point]:
    """The points of a run: the gated metrics of the code under test, over the launches that may be used."""
    accepted = {(verdict.case, verdict.metric): verdict.accepted for verdict in run.verdicts}
    for case, launches in run.by_case().items():
        for name, values in gated_values(launches).items():
            measured = having(launches, name)
            ratios = ratios_to_yardstick(metric(name), measured)
            yardsticks = statistics.geometric_mean(ratios) if ratios else None
            told = accepted.get((case, name), "")
            way = measured[-1].way(name)
            yield Point(case, name, statistics.median(values), yardsticks, len(values), told, way)
