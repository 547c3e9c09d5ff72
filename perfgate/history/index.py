"""The index of a history file: its runs, and the metrics of each of its cases.

A merged file carries it in its footer, so that reading one case, or counting all series, needs no other row.
"""

import json
import zlib
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from perfgate.history.points import Run
from perfgate.history.table import metric_and_way
from perfgate.shared.metrics import metric

START = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Index:
    """The contents of one or several files.

    Attributes:
        runs: the runs by id, in order of time.
        metrics: the metrics of each case, as the column ``metric`` has them; both in alphabetical order.
    """

    runs: Mapping[str, Run]
    metrics: Mapping[str, tuple[str, ...]]

    def count(self) -> int:
        """The number of series."""
        return sum(map(len, self.metrics.values()))

    def varying(self) -> int:
        """The number of series whose metric varies from run to run."""
        noisy = {name for name in self.names() if not metric(metric_and_way(name)[0]).exact}
        return sum(len(noisy.intersection(names)) * count for names, count in Counter(self.metrics.values()).items())

    def names(self) -> list[str]:
        """The names of all metrics, in alphabetical order."""
        return sorted(set().union(*set(self.metrics.values())))


def index_of(database: Any, machine: str) -> Index:
    """The index of the view ``points`` of a database."""
    runs = database.execute(
        "select run_id, epoch_us(any_value(created)), any_value(commit_id), any_value(software) from points "
        "group by run_id order by 2, 1"
    ).fetchall()
    series = database.execute("select distinct case_id, metric from points order by 1, 2").fetchall()
    metrics: dict[str, tuple[str, ...]] = {}
    for case, name in series:
        metrics[case] = (*metrics.get(case, ()), name)
    return Index({run_id: run(machine, run_id, *facts) for run_id, *facts in runs}, metrics)


def run(machine: str, run_id: str, created_us: int, commit: str, software: str) -> Run:
    """A run that began at this number of microseconds since 1970."""
    return Run(run_id, START + timedelta(microseconds=created_us), machine, commit, software)


def joined(indexes: Iterable[Index]) -> Index:
    """The combined index of several files."""
    known = list(indexes)
    if len(known) == 1:
        return known[0]
    runs = [found for index in known for found in index.runs.values()]
    metrics: dict[str, set[str]] = {}
    for index in known:
        for case, names in index.metrics.items():
            metrics.setdefault(case, set()).update(names)
    return Index(
        {found.run_id: found for found in sorted(runs, key=lambda one: (one.created, one.run_id))},
        {case: tuple(sorted(metrics[case])) for case in sorted(metrics)},
    )


def written(index: Index) -> str:
    """An index as text that holds each version and each set of metrics only once."""
    software = {one.software: None for one in index.runs.values()}
    places = {text: place for place, text in enumerate(software)}
    cases: dict[tuple[str, ...], list[str]] = {}
    for case, names in index.metrics.items():
        cases.setdefault(names, []).append(case)
    runs = [
        [one.run_id, (one.created - START) // timedelta(microseconds=1), one.commit, places[one.software]]
        for one in index.runs.values()
    ]
    content = {"software": list(software), "runs": runs, "cases": list(cases.items())}
    return b64encode(zlib.compress(json.dumps(content).encode())).decode()


def read_index(text: str, machine: str) -> Index:
    """Read the text that ``written`` returned."""
    content = json.loads(zlib.decompress(b64decode(text)))
    software = content["software"]
    metrics = {case: tuple(names) for names, cases in content["cases"] for case in cases}
    return Index(
        {run_id: run(machine, run_id, us, commit, software[place]) for run_id, us, commit, place in content["runs"]},
        {case: metrics[case] for case in sorted(metrics)},
    )
