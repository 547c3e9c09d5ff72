"""The details behind a row of the page: launches, memory, operators, modules, settings and raw numbers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from perfgate.records.launch import Launch
from perfgate.reports.difference import (
    Place,
    Sides,
    conversions,
    held_places,
    memory_by_part,
    memory_by_phase,
    merged,
    moved_places,
    settings_in_force,
    told_by,
    typed_operators,
    upcasts,
    work_by_group,
)
from perfgate.shared.device_kinds import DEVICE_KINDS, DRY_TARGETS

OF_GPUS = {DEVICE_KINDS[target].predicted_peak for target in DRY_TARGETS if DEVICE_KINDS[target].gpu}
PLACES = 12  # the most rows of modules for a metric
STEPS = 200  # the most points of a launch
STEPPED = ("step_time_s",)


def behind(sides: Sides, line: Mapping[str, Any], stored: Mapping[str, Any] | None) -> dict[str, Any]:
    """The details of one case, as the page's data.

    Args:
        sides: both sides of the case.
        line: its ``workload`` line.
        stored: its ``baseline`` line, if it was compared with a baseline.
    """
    before, now = sides.ledgers
    found = {
        "launches": [
            *(told(launch, "reference") for launch in sides.before),
            *(told(launch, "candidate") for launch in sides.now),
        ],
        "memory": memory(before, now),
        "groups": {"now": work_by_group(now), "before": work_by_group(before)},
        "places": modules(before, now),
        "settings": settings(sides, line),
    }
    if types := data_types(before, now):
        found["types"] = types
    if stored:
        found["stored"] = {key: stored.get(key) for key in ("commit", "date", "values")}
    return found


def memory(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Memory by part at the peak of both sides, and at the highest moment of each phase if known."""
    found = {"now": memory_by_part(now), "before": memory_by_part(before), "parameters": now.get("parameters")}
    phases = {"now": memory_by_phase(now), "before": memory_by_phase(before)}
    return found | ({"phases": phases} if phases["now"] else {})


def told(launch: Launch, side: str) -> dict[str, Any]:
    """One launch: its facts, the value of each metric, and the steps. In a comparison BASE is the reference."""
    steps = {
        name: [rounded(value) for value in launch.steps(name)[:STEPS]] for name in STEPPED if name in launch.metrics
    }
    return {
        "side": side,
        "pass": launch.pass_name or "time",
        "number": launch.launch,
        "pair": launch.pair,
        "confirms": launch.details.turns.confirms,
        "invalid": launch.invalid or "",
        "steps": steps,
        "values": {name: rounded(launch.value(name)) for name in launch.metrics},
    }


def modules(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each metric with modules: the places where it moved or, with only one side, the places that have it."""
    names = told_by(before, now) if before else [name for name in told_by(now, now) if name not in OF_GPUS]
    found = []
    for name in names:
        rows = moved_places(name, before, now) if before else held_places(name, now)
        if rows:
            shown = [row_of(place) for place in rows[:PLACES]]
            found.append({"metric": name, "moved": bool(before), "rows": shown, "more": len(rows) - len(shown)})
    return found


def data_types(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The operators whose results have other types than before, and the conversions that moved; empty if none."""
    old, new = typed_operators(before, now)
    moved = {name: new.get(name, 0) - old.get(name, 0) for name in (*old, *new)}
    names = sorted((name for name in moved if moved[name]), key=lambda name: -abs(moved[name]))
    places = conversions(before, now)
    if not (names or places):
        return {}
    return {
        "upcasts": upcasts(places),
        "operators": [[name, old.get(name, 0), new.get(name, 0)] for name in names[:PLACES]],
        "conversions": {
            "metric": "conversions",
            "moved": True,
            "rows": [row_of(place) for place in places[:PLACES]],
            "more": len(places[PLACES:]),
        },
    }


def row_of(place: Place) -> list[Any]:
    """A place as a row of the data: path, what, amount in each layer, number of layers."""
    return [place.path, place.what, place.each, place.layers]


def settings(sides: Sides, line: Mapping[str, Any]) -> list[dict[str, str]]:
    """The requested settings and those in force, and the reference's if they differ."""
    asked: Mapping[str, Any] = line.get("setting") or {}
    now, before = settings_in_force(sides.now), settings_in_force(sides.before)
    return [
        {"name": name, "asked": text(asked.get(name)), "now": text(now.get(name)), "before": text(before.get(name))}
        for name in dict.fromkeys([*asked, *now, *before])
    ]


def text(value: object) -> str:
    """A setting as text; empty if not known."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def rounded(value: float) -> float:
    """A number with six digits, to keep the page small; whole numbers stay as they are."""
    return int(value) if float(value).is_integer() else float(f"{value:.6g}")


def baseline_ledger(launches: Sequence[Launch], stored: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The baseline's ledger, if the run file holds one and this run has a ledger to compare it with."""
    found = (stored or {}).get("ledger")
    return found if isinstance(found, Mapping) and merged(launches) else None
