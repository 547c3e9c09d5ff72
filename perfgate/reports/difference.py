"""The difference between two sides of a case: by module and operator group, part of memory, setting and host sync."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfgate.gate.attribution import cells, grown_cells, place
from perfgate.gate.renames import renamed
from perfgate.records.launch import Launch
from perfgate.records.layers import collapsed, expanded
from perfgate.shared.metrics import METRICS, PARTS

Ledger = Mapping[str, Any]
SIZES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
UPCASTS = 5  # the most sentences about conversions


@dataclass(frozen=True)
class Sides:
    """Both sides of one case.

    Attributes:
        now: the launches of the candidate.
        before: the launches of the reference; empty if the case was compared with a baseline.
        stored: the baseline's ledger, if the run file holds it.
    """

    now: tuple[Launch, ...]
    before: tuple[Launch, ...] = ()
    stored: Mapping[str, Any] | None = None

    @property
    def ledgers(self) -> tuple[Ledger, Ledger]:
        """The ledgers of the reference and of the candidate; empty for a side without one."""
        return merged(self.before) or (self.stored or {}), merged(self.now)


@dataclass(frozen=True)
class Place:
    """The growth of a metric in one module, or in each of several equal layers; below 0 it shrank.

    Attributes:
        path: the path of the module, with ``{0-11}`` for equal layers.
        what: the group of operators, part of memory, or kind of event.
        each: the growth in each layer.
        layers: the number of modules that the path stands for.
    """

    path: str
    what: str
    each: float
    layers: int = 1


def merged(launches: Sequence[Launch]) -> Ledger:
    """One ledger from all passes: the dry run's tables and those of the counters; the newest launch counts."""
    found: dict[str, Any] = {}
    for launch in launches:
        if not launch.invalid:
            found |= launch.ledger
    return found


def told_by(before: Ledger, now: Ledger) -> list[str]:
    """The metrics that both ledgers attribute to modules."""
    held = ((name, row.cells) for name, row in METRICS.items() if row.cells)
    return [name for name, known in held if known and known.table in before and known.table in now]


def moved_places(name: str, before: Ledger, now: Ledger) -> list[Place]:
    """The places where a metric grew or shrank, largest change first."""
    found = [*places(grown_cells(name, before, now), 1), *places(grown_cells(name, now, before), -1)]
    return sorted(found, key=lambda row: -abs(row.each) * row.layers)


def held_places(name: str, now: Ledger) -> list[Place]:
    """The places of a metric on a single side, largest first."""
    return sorted(places(cells(name, now), 1), key=lambda row: -row.each * row.layers)


def places(found: Mapping[tuple[str, str], float], sign: int) -> list[Place]:
    """One place for equal layers with equal values."""
    by_kind: dict[str, dict[str, float]] = {}
    for (path, what), value in found.items():
        by_kind.setdefault(what, {})[path] = value
    return [
        Place(place(path), what, sign * value, len(expanded({path: None})))
        for what, paths in by_kind.items()
        for path, value in collapsed(paths).items()
        if value
    ]


def memory_by_part(ledger: Ledger) -> dict[str, float]:
    """Bytes at the predicted peak by part."""
    found = ledger.get("memory_by_part_bytes", {})
    return {part: found[part] for part in PARTS if found.get(part)}


def memory_by_phase(ledger: Ledger) -> dict[str, dict[str, float]]:
    """Bytes by part at the highest moment of each phase of a step, as predicted.

    Empty if the ledger does not have them, and for a step with a single phase, such as one without a backward pass.
    """
    found = ledger.get("memory_by_phase_bytes", {})
    if len(found) < 2:
        return {}
    return {phase: {part: parts[part] for part in PARTS if parts.get(part)} for phase, parts in found.items()}


def work_by_group(ledger: Ledger) -> dict[str, list[float]]:
    """Calls, FLOPs and bytes moved by group of operators."""
    sums: dict[str, list[float]] = {}
    for groups in expanded(ledger.get("work", {})).values():
        for group, row in groups.items():
            sums[group] = [a + b for a, b in zip(sums.get(group, [0, 0, 0]), row, strict=True)]
    return sums


def typed_operators(before: Ledger, now: Ledger) -> tuple[dict[str, float], dict[str, float]]:
    """Calls of each operator by the data type of its result, ``mul of float32``, on both sides.

    Empty if a side does not have them, as in ledgers of version 0.1.0: otherwise all of its calls would count as 0.
    """
    key = "typed_operators"
    return (before[key], now[key]) if key in before and key in now else ({}, {})


def conversions(before: Ledger, now: Ledger) -> list[Place]:
    """The places where conversions between data types became more or fewer, largest change first."""
    if not ("conversions" in before and "conversions" in now):
        return []
    names = renamed(before, now)
    old, new = (
        {(path, what): count for path, row in expanded(side["conversions"]).items() for what, count in row.items()}
        for side in (before, now)
    )
    old = {(names.get(path, path), what): count for (path, what), count in old.items()}
    moved = {key: new.get(key, 0) - old.get(key, 0) for key in {**old, **new}}
    return sorted(places(moved, 1), key=lambda row: -abs(row.each) * row.layers)


def upcasts(moved: Sequence[Place]) -> list[str]:
    """A sentence on each conversion into a wider type that is new or more frequent, up to a few."""
    told = []
    for row in moved:
        narrow, _, wide = row.what.partition(" to ")
        if row.each > 0 and SIZES.get(wide, 0) > SIZES.get(narrow, 9):
            each = f" in each of {row.layers} layers" if row.layers > 1 else ""
            told.append(f"Upcast: {row.path} converts {row.what}, {row.each:+.0f} a step{each}.")
    return told[:UPCASTS]


def settings_in_force(launches: Sequence[Launch]) -> dict[str, Any]:
    """The settings that the newest valid launch read back, by name."""
    found: dict[str, Any] = {}
    for launch in launches:
        if not launch.invalid:
            found |= launch.details.findings.effective
    return found
