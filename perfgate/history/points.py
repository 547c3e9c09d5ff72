"""Points: the values of one run, one for each metric and case, in the form of the history."""

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
    """The facts that all points of a run share.

    Attributes:
        run_id: the run's id; each run is stored once.
        created: the moment when it began.
        machine: the name of the machine, which has a folder of its own in the history.
        commit: the commit of the code under test; empty outside of a git repository.
        software: versions of the libraries, as JSON with sorted keys.
    """

    run_id: str
    created: datetime
    machine: str
    commit: str
    software: str


@dataclass(frozen=True)
class Point:
    """The value of one metric of one case in one run.

    Attributes:
        value: the median of the launches, in the metric's unit.
        yardsticks: the same in units of the yardstick that ran beside each step; ``None`` without a yardstick.
        launches: the number of valid launches behind it.
        accepted: who accepted a regression in this run, and why; empty if nobody did.
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
    """The facts of a run for the history.

    Raises:
        UserError: its folder had uncommitted changes, so nobody could find the code again.
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
    """The points of a run: the gated metrics of the code under test, over its valid launches."""
    accepted = {(verdict.case, verdict.metric): verdict.accepted for verdict in run.verdicts}
    for case, launches in run.by_case().items():
        for name, values in gated_values(launches).items():
            measured = having(launches, name)
            ratios = ratios_to_yardstick(metric(name), measured)
            yardsticks = statistics.geometric_mean(ratios) if ratios else None
            told = accepted.get((case, name), "")
            way = measured[-1].way(name)
            yield Point(case, name, statistics.median(values), yardsticks, len(values), told, way)
