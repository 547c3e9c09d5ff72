"""The reports of ``perfgate history``."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from perfgate.gate.wording import are, many, percent
from perfgate.history.changes import Change, Creep, Event
from perfgate.history.points import Run
from perfgate.history.series import Machine, Series
from perfgate.history.survey import Look, Survey
from perfgate.reports.formats import BARS
from perfgate.reports.page.content import Content
from perfgate.reports.page.history import history_content
from perfgate.reports.report import Report, Section
from perfgate.shared.metrics import metric

WIDTH = 40  # the most sessions in a sparkline; the newest are shown
SHOWN = 8  # the most rows for an event's changes; the others are counted


def added_report(url: str, runs: Sequence[tuple[Run, int, bool]]) -> Report:
    """The report of added runs: the number of points of each, and whether it was new."""
    rows = [{"run": run.run_id, "machine": run.machine, "points": count, "kept": new} for run, count, new in runs]
    lines = [
        f"{run.run_id}: {many(count, 'point')} of {run.machine} {are(count)} kept at {url}"
        if new
        else f"{run.run_id}: is kept already"
        if count
        else f"{run.run_id}: measured nothing that is gated, so nothing is kept"
        for run, count, new in runs
    ]
    return Report([Section(lines=lines)], pd.DataFrame(rows), {"runs": rows})


def compacted_report(files: Mapping[str, int]) -> Report:
    """The report of merged files: the number of files that each machine's merged file replaces."""
    lines = [
        f"{name}: {many(count, 'file')} {are(count)} merged into one"
        if count
        else f"{name}: has one file, so nothing is to be merged"
        for name, count in files.items()
    ]
    rows = pd.DataFrame([{"machine": name, "files": count} for name, count in files.items()])
    return Report([Section(lines=lines)], rows, {"merged": dict(files)})


def changes_report(surveys: Sequence[Survey], runs: Path | None = None) -> Report:
    """The report of changes: each machine's events, newest first, and its creeps.

    ``runs`` is the folder of run files.
    """
    rows = [row for found in surveys for event in found.events for row in map(change_row, event.changes)]
    document = {"machines": [survey_document(found) for found in surveys]}
    sections = [survey_section(found) for found in surveys]

    def page() -> Content:
        lines = [
            line
            for found, section in zip(surveys, sections, strict=True)
            for line in (section.title, *section.lines, *map(creep_line, found.creeps[:SHOWN]), *drawn_lines(found))
        ]
        looks = [Look(found.machine, found.moved) for found in surveys]
        return history_content("What moved, when, and between which commits", lines, looks, runs)

    return Report(sections, pd.DataFrame(rows), document, history=page)


def survey_section(found: Survey) -> Section:
    """The section of one machine, with its events and creeps."""
    tables = {heading(event): event_table(event) for event in found.events}
    if found.creeps:
        tables["Crept by small steps"] = pd.DataFrame(map(creep_row, found.creeps))
    looked = (
        f"{found.series} series of {many(len(found.machine.runs), 'run')} were looked at; where nothing changed, the "
        f"chance that this list shows a change of a metric that varies is {found.alpha:.0%}."
    )
    count, crept = len(found.events), len(found.creeps)
    told = [f"{count} {'event' if count == 1 else 'events'} moved something."] if count else []
    told += [f"{crept} {'metric' if crept == 1 else 'metrics'} crept by small steps."] if crept else []
    return Section(found.machine.name, [looked, *(told or ["Nothing moved."])], tables)


def creep_line(crept: Creep) -> str:
    """A sentence about a creep, which no change on the page shows."""
    row = creep_row(crept)
    moved_to = f"{row['then']} to {row['now']}"
    return f"{row['metric']} of {row['case']} crept by {row['change']} since {row['since']}, {moved_to}."


def drawn_lines(found: Survey) -> list[str]:
    """A sentence if the page does not draw all series that moved."""
    every = {(change.case, change.metric) for event in found.events for change in event.changes}
    every |= {(crept.case, crept.metric) for crept in found.creeps}
    if len(every) <= len(found.moved):
        return []
    return [f"{len(every)} series moved; the {len(found.moved)} that moved most are drawn."]


def heading(event: Event) -> str:
    """The heading of an event: its time, its commits, and the libraries that changed."""
    between = f"{event.first.created:%Y-%m-%d %H:%M}, {commits(event.last, event.first)}"
    return "; ".join([between, *event.libraries])


def commits(last: Run, first: Run) -> str:
    """The two commits around a change, in git's notation for a range."""
    if not last.commit or not first.commit:
        return f"between the runs {last.run_id} and {first.run_id}"
    if last.commit == first.commit:
        return f"commit {first.commit[:12]} in both runs"
    return f"commits {last.commit[:12]}..{first.commit[:12]}"


def event_table(event: Event) -> pd.DataFrame:
    """The changes of an event, the largest first."""
    rows = [
        {
            "case": change.case,
            "metric": change.metric,
            "before": metric(change.metric).show(change.before),
            "after": metric(change.metric).show(change.after),
            "change": moved(change.change),
            "interval": None if change.low == change.high else f"{moved(change.low)} to {moved(change.high)}",
            "accepted": change.accepted or None,
        }
        for change in event.changes[:SHOWN]
    ]
    if len(event.changes) > SHOWN:
        rows.append({"case": f"and {len(event.changes) - SHOWN} more; --format csv lists them all"})
    return pd.DataFrame(rows).dropna(axis="columns", how="all").astype(object).where(lambda t: t.notna(), None)


def moved(change: float) -> str:
    """A change in words; a change from 0 has no ratio."""
    return percent(change) if math.isfinite(change) else "from 0"


def creep_row(crept: Creep) -> dict[str, Any]:
    """The row of a creep, for people."""
    what = metric(crept.metric)
    return {
        "case": crept.case,
        "metric": crept.metric,
        "then": what.show(crept.before),
        "now": what.show(crept.after),
        "change": moved(crept.change),
        "tolerance": f"{crept.tolerance:.1%}",
        "since": f"{crept.epoch.created:%Y-%m-%d} ({crept.epoch.commit[:12]})",
    }


def change_row(change: Change) -> dict[str, Any]:
    """The row of a change, as plain numbers and text."""
    row = {**asdict(change), "last": change.last.run_id, "first": change.first.run_id}
    more = {
        "machine": change.first.machine,
        "created": change.first.created.isoformat(),
        "commit_before": change.last.commit,
        "commit_after": change.first.commit,
    }
    return {**{key: finite(value) for key, value in row.items()}, **more}


def finite(value: Any) -> Any:
    """A finite number; ``None`` for infinity, which JSON does not have."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def survey_document(found: Survey) -> dict[str, Any]:
    """The survey of one machine as JSON values."""
    return {
        "machine": found.machine.name,
        "runs": len(found.machine.runs),
        "series": found.series,
        "alpha": found.alpha,
        "events": [
            {"libraries": list(event.libraries), "changes": list(map(change_row, event.changes))}
            for event in found.events
        ],
        "creeps": [
            {**asdict(crept), "epoch": crept.epoch.run_id, "commit": crept.epoch.commit} for crept in found.creeps
        ],
    }


def shown_report(looks: Sequence[Look], runs: Path | None = None) -> Report:
    """The values of cases over their runs: a sparkline and the changes of each metric."""
    sections = [Section(f"{look.machine.name}", tables={"Series": series_table(look)}) for look in looks]
    rows = [row for look in looks for one, _ in look.series for row in point_rows(look.machine, one)]
    series = sum(len(look.series) for look in looks)

    def page() -> Content:
        return history_content("Values over runs", [f"{series} series are shown."], looks, runs)

    return Report(sections, pd.DataFrame(rows), {"points": rows}, history=page)


def series_table(look: Look) -> pd.DataFrame:
    """A row for each series."""
    rows = []
    for one, changes in look.series:
        what = metric(one.metric)
        told = [f"{moved(c.change)} at {c.first.created:%Y-%m-%d} ({commits(c.last, c.first)})" for c in changes]
        rows.append(
            {
                "case": one.name,
                "metric": one.metric,
                "runs": len(one.values),
                "first": what.show(one.values[0]),
                "last": what.show(one.values[-1]),
                "course": sparkline(one.levels[-WIDTH:]),
                "moved": "; ".join(told) or None,
            }
        )
    return pd.DataFrame(rows)


def sparkline(values: Sequence[float]) -> str:
    """A bar for each value, between the smallest and the largest."""
    low, high = min(values), max(values)
    if low == high:
        return BARS[0] * len(values)
    return "".join(BARS[round((value - low) / (high - low) * (len(BARS) - 1))] for value in values)


def point_rows(machine: Machine, one: Series) -> list[dict[str, Any]]:
    """The points of a series as plain numbers."""
    return [
        {
            "machine": machine.name,
            "case": one.case,
            "metric": one.metric,
            "run": run_id,
            "created": machine.created[run_id],
            "commit": machine.runs[run_id].commit,
            "value": value,
            "way": one.way,
        }
        for run_id, value in zip(one.runs, one.values, strict=True)
    ]
