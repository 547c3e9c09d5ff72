"""Explains why a case got worse or better: the difference of its sides by operator, module, type, memory and sync."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import pandas as pd

from perfgate.gate.wording import counted_as, percent, sentence
from perfgate.records.launch import medians
from perfgate.records.verdict import Verdict
from perfgate.reports.difference import (
    Place,
    Sides,
    conversions,
    memory_by_part,
    memory_by_phase,
    moved_places,
    settings_in_force,
    told_by,
    typed_operators,
    upcasts,
    work_by_group,
)
from perfgate.reports.remains import remaining
from perfgate.reports.report import Report, Section
from perfgate.reports.tables import shown
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import metric

ROWS = 12  # the most rows of a table
NAMED = 5  # the most cases in a message
QUIET = ("pass", "new")
PHASES = ("forward_s", "backward_s", "optimizer_s", "data_wait_s", "device_time_s", "host_time_s", "communication_s")
Row = dict[str, Any]


@dataclass(frozen=True)
class Explained:
    """A case with both of its sides.

    Attributes:
        verdicts: all verdicts on the case.
        against: the reference, as a noun; empty if there is none.
        before: the reference's library versions; empty if not known.
        now: the candidate's library versions.
        traces: lines that name the traces of both sides.
    """

    case: str
    verdicts: tuple[Verdict, ...]
    sides: Sides
    against: str
    before: Mapping[str, str]
    now: Mapping[str, str]
    traces: Sequence[str] = ()


def find_case(part: str, cases: Sequence[str], where: str) -> str:
    """The case with this id, or the only case whose id contains this text.

    Raises:
        UserError: no case or several cases match; the message has the closest ones.
    """
    if part in cases:
        return part
    found = [case for case in cases if part in case]
    if len(found) == 1:
        return found[0]
    if found:
        more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
        raise UserError(f"{where}: {part!r} is in {len(found)} cases, name one: {', '.join(found[:NAMED])}{more}")
    tails = {case.rpartition("::")[2]: case for case in cases}
    near = [*get_close_matches(part, cases, NAMED, 0.5), *map(tails.__getitem__, get_close_matches(part, tails, NAMED))]
    hint = f"; the nearest: {', '.join(dict.fromkeys(near))}" if near else f"; it holds {len(cases)} others"
    raise UserError(f"{where}: no case {part!r}{hint}")


def explain_report(found: Explained) -> Report:
    """The report of one case: sentences on the changes, tables of the differences, and the causes that remain."""
    tables = {name: rows for name, rows in differences(found.sides).items() if rows}
    lines = [
        *opening(found),
        *remaining(found.verdicts, found.sides, found.before, found.now),
        *upcasts(conversions(*found.sides.ledgers)),
    ]
    notes = [*([] if tables else [nothing(found.sides)]), *found.traces]
    rows = [{"table": name, **row} for name, part in tables.items() for row in part]
    document = {
        "case": found.case,
        "against": found.against,
        "lines": lines,
        "verdicts": [verdict.to_json() for verdict in found.verdicts],
        "differences": tables,
        "notes": notes,
    }
    frames = {name: pd.DataFrame(part) for name, part in tables.items()}
    return Report([Section(found.case, lines, frames, notes)], pd.DataFrame(rows), document)


def opening(found: Explained) -> list[str]:
    """A sentence on each verdict that needs attention, or else one sentence for all."""
    told = [v for v in found.verdicts if counted_as(v) not in QUIET]
    if not told:
        moved = "nothing moved beyond its tolerance" if found.verdicts else "no verdict is known"
        return [f"{'Against ' + found.against if found.against else 'By itself'}: {moved}."]
    order = ("regressed", "stale", "invalid", "accepted", "inconclusive", "improved")
    return [sentence(verdict) for verdict in sorted(told, key=lambda v: order.index(counted_as(v)))]


def nothing(sides: Sides) -> str:
    """The reason why there is no table: only one side was measured, or both are equal."""
    before, now = sides.ledgers
    if before and now:
        return "Inside, both sides are alike: operators, modules, memory and host syncs."
    if not (sides.before or before):
        return "The run file holds one side of the case; name another run with --against RUN for the difference."
    return "Neither operators nor modules of both sides are known: there was no dry run of one of them."


def differences(sides: Sides) -> dict[str, list[Row]]:
    """The tables of differences between both sides by title, including empty ones."""
    before, now = sides.ledgers
    if not before or not now:
        return {"Phases of a step": phases(sides), "Settings in force": settings(sides)}
    old, new = work_by_group(before), work_by_group(now)
    work = [
        row
        for at, name in enumerate(("operator_calls", "flops", "moved_bytes"))
        for row in both("group of operators", column(old, at), column(new, at), name)
    ]
    return {
        "Work by group of operators": work,
        "Operators by data type": both("operator", *typed_operators(before, now), "operator_calls", limit=ROWS),
        "Conversions of data types": [
            place_row("conversions", place, f"{place.each:+.0f}") for place in conversions(before, now)
        ][:ROWS],
        "Memory at the peak": both("part", memory_by_part(before), memory_by_part(now), "predicted_peak_bytes"),
        "Memory over the phases of a step": memory_of_phases(before, now),
        "Modules and lines": modules(before, now),
        "Phases of a step": phases(sides),
        "Settings in force": settings(sides),
    }


def memory_of_phases(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Row]:
    """The phases of a step whose peak memory differs; empty if a side does not have them."""
    old, new = (
        {phase: sum(parts.values()) for phase, parts in memory_by_phase(side).items()} for side in (before, now)
    )
    return both("phase", old, new, "predicted_peak_bytes") if old and new else []


def column(table: Mapping[str, Sequence[float]], number: int) -> dict[str, float]:
    """One of the amounts in each row of a table, by number."""
    return {name: row[number] for name, row in table.items()}


def both(title: str, before: Mapping[str, float], now: Mapping[str, float], name: str, limit: int = 99) -> list[Row]:
    """A row for each entry that differs, largest change first."""
    show = metric(name).show
    moved = {key: now.get(key, 0) - before.get(key, 0) for key in (*before, *now)}
    keys = sorted((key for key in moved if moved[key]), key=lambda key: -abs(moved[key]))
    return [
        {title: key, "metric": name, "before": show(before.get(key, 0)), "now": show(now.get(key, 0)),
         "change": f"{'-' if moved[key] < 0 else '+'}{show(abs(moved[key]))}"}
        for key in keys[:limit]
    ]  # fmt: skip


def modules(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Row]:
    """A few places for each metric that moved: the module or file, and the group, part or line.

    Metrics that share a table, such as predicted and measured host syncs, appear once.
    """
    names = {metric(name).cells: name for name in reversed(told_by(before, now))}
    return [
        place_row(name, place, f"{'-' if place.each < 0 else '+'}{metric(name).show(abs(place.each))}")
        for name in reversed(names.values())
        for place in moved_places(name, before, now)[: ROWS // 3]
    ]


def place_row(name: str, place: Place, moved: str) -> Row:
    """A place as a row of a table."""
    each = f" each of {place.layers}" if place.layers > 1 else ""
    return {"metric": name, "where": place.path, "what": place.what, "change": f"{moved}{each}"}


def phases(sides: Sides) -> list[Row]:
    """The phases of a step that were timed on both sides."""
    before, now = (medians([launch for launch in side if not launch.invalid]) for side in (sides.before, sides.now))
    return [
        {"phase": name, "before": shown(name, before[name]), "now": shown(name, now[name]),
         "change": percent(now[name] / before[name] - 1)}
        for name in PHASES
        if before.get(name) and now.get(name)
    ]  # fmt: skip


def settings(sides: Sides) -> list[Row]:
    """The settings in force that differ."""
    before, now = settings_in_force(sides.before), settings_in_force(sides.now)
    if not before:
        return []
    return [
        {"setting": name, "before": str(before.get(name, "")), "now": str(now.get(name, ""))}
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
