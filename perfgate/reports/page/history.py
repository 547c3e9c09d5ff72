"""The content of a history's page: series over commits, their changes, and the libraries that changed then."""

import math
import statistics
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from perfgate.gate.wording import percent
from perfgate.history.changes import Change, moved_libraries
from perfgate.history.series import Machine, Series
from perfgate.history.survey import Look
from perfgate.reports.page.content import Content, about
from perfgate.shared.metrics import metric

DIGITS = 6  # digits of a point in a picture


def history_content(title: str, lines: Sequence[str], looks: Sequence[Look], runs: Path | None) -> Content:
    """The page's data.

    Args:
        title: the page's title.
        lines: the sentences at the top.
        looks: the series to show, by machine.
        runs: the folder that may hold the run files, for commands that compare two of them.
    """
    machines = [machine_content(look, runs) for look in looks]
    names = sorted({one["metric"] for machine in machines for one in machine["series"]})
    return {
        "title": title,
        "lines": lines,
        "data": {"machines": machines, "metrics": {name: about(name) for name in names}},
    }


def machine_content(look: Look, runs: Path | None) -> Content:
    """A machine's runs in order of time, and its series, which refer to runs by number."""
    machine = look.machine
    ordered = list(machine.runs.values())
    return {
        "name": machine.name,
        "runs": [[round(run.created.timestamp()), run.commit[:12], run.run_id] for run in ordered],
        "moved": {
            place: "; ".join(libraries)
            for place, (last, first) in enumerate(pairwise(ordered), 1)
            if last.software != first.software and (libraries := moved_libraries(last, first))
        },
        "series": [series_content(machine, one, changes, runs) for one, changes in look.series],
    }


def series_content(machine: Machine, one: Series, changes: Iterable[Change], runs: Path | None) -> Content:
    """A series with its compared values in the metric's unit.

    A level in yardsticks is shown as a time at the machine's usual speed.
    """
    middle = statistics.median(one.levels)
    scale = statistics.median(one.values) / middle if middle else 1.0
    return {
        "case": one.name,
        "metric": one.metric,
        "technique": technique(one.case),
        "at": [machine.numbers[run_id] for run_id in one.runs],
        "values": [float(f"{level * scale:.{DIGITS}g}") for level in one.levels],
        "accepted": {str(place): why for place, why in one.accepted.items()},
        "changes": [change_content(change, runs) for change in changes],
    }


def change_content(change: Change, runs: Path | None) -> Content:
    """A change of level, with the command that compares both runs if their files exist."""
    what = metric(change.metric)
    finite = math.isfinite(change.change)
    return {
        "at": change.at,
        "change": change.change if finite else None,
        "bounds": None if change.low == change.high else [change.low, change.high],
        "says": percent(change.change) if finite else "from 0",
        "before": what.show(change.before),
        "after": what.show(change.after),
        "compare": comparison(change, runs) if runs else "",
        "pages": [page.as_uri() for page in pages(change, runs)] if runs else [],
    }


def comparison(change: Change, runs: Path) -> str:
    """The command that compares the runs before and after a change; empty without their files."""
    files = [runs / f"{run.run_id}.jsonl" for run in (change.last, change.first)]
    if not all(file.is_file() for file in files):
        return ""
    return f"perfgate compare {files[0]} {files[1]} --format html --output comparison.html"


def pages(change: Change, runs: Path) -> list[Path]:
    """The existing pages of both runs."""
    files = [(runs / f"{run.run_id}.html").resolve() for run in (change.last, change.first)]
    return [file for file in files if file.is_file()]


def technique(case: str) -> str:
    """The technique of a case, by its file: ``training/batch_size``."""
    folder, _, name = case.partition("::")[0].removesuffix(".py").rpartition("/")
    return "/".join(filter(None, [folder, name.removeprefix("test_").replace("_", " ")]))
