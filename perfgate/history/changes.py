"""Changes: what moved in a history, when, between which commits, and which libraries changed with it."""

import json
import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from perfgate.history.points import Run
from perfgate.history.segments import bound, exact_steps, long_run_spread, steps, without_outliers
from perfgate.history.series import Machine, Series
from perfgate.shared.metric import Metric

ALPHA = 0.1  # of the whole history: the chance that it shows a change although nothing changed
SMALLEST = 0.01  # for a noisy metric; smaller changes are not worth listing
RECENT = 5  # sessions whose median stands for the present value, or for the epoch's
TOGETHER = 2  # sessions: changes this close together may well have one cause


@dataclass(frozen=True)
class Change:
    """A change of a metric's level.

    Attributes:
        change: the relative change; above 0 is worse, 0.05 is 5%.
        low: lower bound of the change; equal to ``change`` for a metric that repeats exactly.
        high: upper bound of the change.
        before: the level before, in the metric's unit.
        after: the level after.
        last: the last run of the old level.
        first: the first run of the new level.
        index: the index of ``first`` among the machine's runs.
        at: the index of ``first`` within the series.
        accepted: who accepted it, and why; empty if nobody did.
    """

    case: str
    metric: str
    change: float
    low: float
    high: float
    before: float
    after: float
    last: Run
    first: Run
    index: int
    at: int
    accepted: str


@dataclass(frozen=True)
class Creep:
    """A metric that left its epoch's value in small steps.

    Attributes:
        change: the relative change since the epoch; above 0 is worse.
        before: the epoch's value, in the metric's unit.
        after: the value now.
        epoch: the run at which the epoch began: the first one, or the last at which a change was accepted.
        tolerance: the tolerance that it exceeded.
    """

    case: str
    metric: str
    change: float
    before: float
    after: float
    epoch: Run
    tolerance: float


@dataclass(frozen=True)
class Event:
    """Changes that happened between the same runs, and so belong together.

    Attributes:
        changes: the changes, largest first.
        last: the last run before all of them.
        first: the first run after them.
        libraries: the libraries whose version changed between the two, with both versions.
    """

    changes: Sequence[Change]
    last: Run
    first: Run
    libraries: Sequence[str]


def changes_of(machine: Machine, series: Series, alpha: float, since: datetime | None = None) -> Iterator[Change]:
    """The changes of one series.

    Args:
        machine: the machine of the series.
        series: the series to examine.
        alpha: this series' share of the whole history's alpha.
        since: changes before this moment are left out.
    """
    exact = series.row.exact
    found = exact_steps(series.levels) if exact else steps(series.levels, alpha)
    cuts = [0, *(step.at for step in found), len(series.levels)]
    for step, start, end in zip(found, cuts, cuts[2:], strict=False):
        last, first = machine.runs[series.runs[step.at - 1]], machine.runs[series.runs[step.at]]
        if (since and first.created < since) or (not exact and abs(step.change) < SMALLEST):
            continue
        yield Change(
            series.case,
            series.metric,
            step.change,
            step.low,
            step.high,
            statistics.median(series.values[start : step.at]),
            statistics.median(series.values[step.at : end]),
            last,
            first,
            machine.numbers[first.run_id],
            step.at,
            next(
                (series.accepted[i] for i in range(step.at, min(step.at + TOGETHER, end)) if i in series.accepted), ""
            ),
        )


def limit_of(row: Metric) -> float:
    """The relative distance that a metric may move from its epoch."""
    return row.tolerance or SMALLEST


def creep_of(machine: Machine, series: Series, alpha: float) -> Creep | None:
    """The creep of a series away from its epoch; ``None`` if it did not creep, or if one change explains all of it."""
    start = max(series.accepted, default=0)
    levels = series.levels[start:]
    if len(levels) < 2 * RECENT or min(levels) <= 0:
        return None
    limit = limit_of(series.row)
    moved = math.log(statistics.median(levels[-RECENT:]) / statistics.median(levels[:RECENT]))
    if moved <= math.log1p(limit):
        return None
    logs = [math.log(level) for level in levels]
    largest = max((abs(b - a) for a, b in zip(logs, logs[RECENT:], strict=False)), default=0.0)
    if largest > moved / 2 or not beyond_noise(levels, moved, alpha):
        return None
    now, then = (statistics.median(part) for part in (series.values[-RECENT:], series.values[start : start + RECENT]))
    return Creep(series.case, series.metric, math.expm1(moved), then, now, machine.runs[series.runs[start]], limit)


def abrupt(change: Change, series: Series) -> bool:
    """Whether a change happened at once, and is not the middle of a creep."""
    before, after = (
        series.levels[max(change.at - RECENT, 0) : change.at],
        series.levels[change.at : change.at + RECENT],
    )
    moved = math.log(statistics.median(after) / statistics.median(before))
    return abs(moved) > abs(math.log1p(change.change)) / 2


def beyond_noise(levels: Sequence[float], moved: float, alpha: float) -> bool:
    """Whether the medians of both ends differ by more than chance would make them.

    The spread is measured around a straight line, because a creep would otherwise increase it.
    """
    series = without_outliers(np.log(np.asarray(levels)))
    places = np.arange(len(series))
    spread = float(long_run_spread(series - np.polyval(np.polyfit(places, series, 1), places)))
    # A median of Gaussian values has 1.25 times the standard error of their mean.
    return moved > bound(alpha, len(levels)) * 1.25 * spread * math.sqrt(2 / RECENT)


def events_of(changes: Iterable[Change]) -> list[Event]:
    """Group changes that belong together; the newest event first, and in each event the largest change."""
    groups: list[list[Change]] = []
    for change in sorted(changes, key=lambda one: one.index):
        if groups and change.index - groups[-1][0].index <= TOGETHER:
            groups[-1].append(change)
        else:
            groups.append([change])
    return [event(group) for group in reversed(groups)]


def event(group: Sequence[Change]) -> Event:
    """The event of changes that happened between the same runs."""
    exact = [change for change in group if change.low == change.high] or list(group)
    last, first = exact[0].last, exact[0].first
    ordered = sorted(group, key=lambda one: (-abs(one.change), one.case, one.metric))
    return Event(ordered, last, first, moved_libraries(last, first))


def moved_libraries(last: Run, first: Run) -> list[str]:
    """The libraries whose version changed between two runs: ``transformers 5.22.2 to 5.23.0``."""
    old, new = json.loads(last.software), json.loads(first.software)
    return [
        f"{name} {old.get(name, 'absent')} to {new.get(name, 'absent')}"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    ]
