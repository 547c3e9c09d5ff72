"""Issues about a history: one for each event of changes, and one for each metric that crept."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import pandas as pd

from perfgate.history.changes import RECENT, Change, Creep, Event
from perfgate.history.series import Machine
from perfgate.history.survey import Survey
from perfgate.reports.comment import code
from perfgate.reports.formats import markdown
from perfgate.reports.history import creep_row, event_table, heading, moved
from perfgate.reports.report import Report, Section
from perfgate.shared.parsing import load_json

MARKER = re.compile(r"<!-- perfgate-change (\{.*?\}) -->")
MOST_KEYS = 40


@dataclass(frozen=True)
class Finding:
    """The subject of an issue.

    Attributes:
        title: the issue's title.
        body: the issue's text without the marker.
        machine: the machine.
        run: the first run after an event; empty for a metric that crept.
        keys: digests of its cases and metrics, largest change first.
    """

    title: str
    body: str
    machine: str
    run: str
    keys: Sequence[str]

    @property
    def text(self) -> str:
        """The issue's text, with the marker for finding it again."""
        mark = {"machine": code(self.machine), "run": self.run, "keys": list(self.keys)}
        return f"{self.body.rstrip()}\n\n<!-- perfgate-change {json.dumps(mark)} -->\n"

    def is_in(self, mark: Mapping[str, object], machine: Machine) -> bool:
        """Whether an issue with this mark has the same subject: it shares cases, at about the same run."""
        keys, run = mark.get("keys"), mark.get("run")
        if mark.get("machine") != code(self.machine) or not isinstance(keys, list):
            return False
        if not set(map(str, keys)) & set(self.keys):
            return False
        if not self.run or not run:
            return self.run == run
        # With more runs the time of a change is known better, so the first run may shift a little.
        place = machine.numbers.get(str(run))
        return place is not None and abs(place - machine.numbers[self.run]) <= RECENT


def findings(found: Survey) -> Iterator[Finding]:
    """A finding for each event with a regression that nobody accepted, newest first, then one for each creep."""
    for event in found.events:
        worse = [change for change in event.changes if change.change > 0 and not change.accepted]
        if worse:
            yield of_event(found.machine.name, event, worse)
    for crept in found.creeps:
        yield of_creep(found.machine.name, crept)


def of_event(machine: str, event: Event, worse: Sequence[Change]) -> Finding:
    """The finding about changes that happened together."""
    first = worse[0]
    others = f" and {len(worse) - 1} more" if len(worse) > 1 else ""
    title = f"{first.metric} of {plain(first.case)} {moved(first.change)}{others}, {event.first.created:%Y-%m-%d}"
    lines = [f"Seen on {code(machine)}: {heading(event)}."]
    if event.last.commit and event.first.commit and event.last.commit != event.first.commit:
        command = f"perfgate bisect CASE --good {event.last.commit[:12]} --bad {event.first.commit[:12]}"
        lines.append(f"`{command}` finds the commit, with the id of a case below in place of `CASE`.")
    return Finding(title, body(lines, event_table(event)), machine, event.first.run_id, keys(worse))


def of_creep(machine: str, crept: Creep) -> Finding:
    """The finding about a metric that left its epoch's value in small steps."""
    title = f"{crept.metric} of {plain(crept.case)} crept by {moved(crept.change)} since {crept.epoch.created:%Y-%m-%d}"
    lines = [f"Seen on {code(machine)}. No single change tells it all, so no gate of one merge could see it."]
    return Finding(title, body(lines, pd.DataFrame([creep_row(crept)])), machine, "", keys([crept]))


def body(lines: Sequence[str], table: pd.DataFrame) -> str:
    """The text of an issue, in which ids of cases are plain text."""
    table = table.assign(case=pd.Series([code(case) for case in table["case"]], table.index, dtype=object))
    return markdown(Report([Section("", list(lines), {"": table})], table, {}))


def plain(case: str) -> str:
    """A case's id for a title, which cannot have a code span."""
    return code(case).strip("`")


def keys(of: Iterable[Change | Creep]) -> list[str]:
    """Digests that identify cases and metrics without their names."""
    found = [sha256(f"{one.case}\n{one.metric}".encode()).hexdigest()[:12] for one in of]
    return found[:MOST_KEYS]


def marks(texts: Iterable[str]) -> list[Mapping[str, object]]:
    """The marks in the texts of issues; unreadable ones are left out."""
    found = []
    for match in filter(None, map(MARKER.search, texts)):
        try:
            found.append(load_json(match[1]))
        except ValueError:
            continue
    return [mark for mark in found if isinstance(mark, dict)]
