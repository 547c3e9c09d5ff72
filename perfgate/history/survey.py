"""A survey: everything that moved in the history of one machine."""

import heapq
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from perfgate.history.blocks import Block
from perfgate.history.changes import ALPHA, Change, Creep, Event, abrupt, changes_of, creep_of, events_of
from perfgate.history.screen import suspects
from perfgate.history.series import Machine, Series, opened
from perfgate.history.store import Store

KEPT = 200  # the most series of a survey that a page draws


@dataclass(frozen=True)
class Survey:
    """Everything that moved in the history of one machine.

    Attributes:
        machine: the machine with its runs.
        series: the number of examined series.
        alpha: the chance that the survey shows a change although nothing changed.
        events: changes that happened together, newest first.
        creeps: metrics that left their epoch in small steps, worst first.
        moved: the series that moved most, with their changes; at most ``KEPT``, because each holds all its points.
    """

    machine: Machine
    series: int
    alpha: float
    events: list[Event] = field(default_factory=list)
    creeps: list[Creep] = field(default_factory=list)
    moved: list[tuple[Series, list[Change]]] = field(default_factory=list)


def survey(store: Store, name: str, alpha: float, since: datetime | None = None) -> Survey:
    """Examine all series of a machine.

    Args:
        store: the store of the history.
        name: the machine's name.
        alpha: the chance that the survey shows a change although nothing changed; the noisy series share it.
        since: changes before this moment are left out.
    """
    changes: list[Change] = []
    creeps: list[Creep] = []
    largest: list[tuple[float, int, Series, list[Change]]] = []
    with opened(store, name) as history:
        share, count = alpha / max(history.index.varying(), 1), history.index.count()
        places = ((block, place) for block, suspected in ahead(history.blocks(), share) for place in suspected)
        for number, (block, place) in enumerate(places):
            series = history.series_of(block, place)
            found = list(changes_of(history.machine, series, share, since))
            crept = creep_of(history.machine, series, share)
            if crept:
                creeps.append(crept)
                found = [change for change in found if abrupt(change, series)]
            changes += found
            if found or crept:
                size = max([abs(change.change) for change in found] + ([crept.change] if crept else []))
                heapq.heappush(largest, (size, -number, series, found))
                if len(largest) > KEPT:
                    heapq.heappop(largest)
    creeps.sort(key=lambda one: -one.change)
    moved = [(series, found) for _, _, series, found in sorted(largest, key=lambda one: (-one[0], -one[1]))]
    return Survey(history.machine, count, alpha, events_of(changes), creeps, moved)


def ahead(blocks: Iterator[Block], share: float) -> Iterator[tuple[Block, list[int]]]:
    """The blocks, each with its suspects; the next block is read and screened while one is examined."""

    def screened() -> tuple[Block, list[int]] | None:
        block = next(blocks, None)
        return None if block is None else (block, suspects(block, share))

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(screened)
        while found := coming.result():
            coming = pool.submit(screened)
            yield found


@dataclass(frozen=True)
class Look:
    """Some series of one machine, with their changes."""

    machine: Machine
    series: list[tuple[Series, list[Change]]]


def look_at(store: Store, name: str, case: str) -> Look:
    """Examine the cases whose id contains ``case``.

    Raises:
        UserError: there is no such case.
    """
    with opened(store, name, case) as history:
        share = ALPHA / max(history.index.varying(), 1)
        found = [(one, list(changes_of(history.machine, one, share))) for one in history.series(case)]
        return Look(history.machine, found)
