"""Attribution: compare two ledgers, and name the modules whose share of a metric grew most."""

import re
from collections.abc import Mapping
from typing import Any

from perfgate.gate.renames import renamed
from perfgate.records.layers import collapsed, expanded
from perfgate.shared.metrics import metric

SHOWN = 3
LINE = re.compile(r"(?<=\w):\d+$")
Cells = dict[tuple[str, str], float]


def growth(name: str, before: Mapping[str, Any], now: Mapping[str, Any], word: str = "grown", sign: str = "+") -> str:
    """Name the modules whose share of a metric grew most, each with its group or part; empty if none did.

    Args:
        name: the metric.
        before: the reference's ledger, as a dry run's ``details`` hold it.
        now: the candidate's ledger.
        word: ``grown``, or ``shrunk`` if the caller exchanged the two ledgers.
        sign: the sign written before each amount, ``+`` or ``-``.
    """
    grown = grown_cells(name, before, now)
    by_kind: dict[str, dict[str, float]] = {}
    for (path, kind), value in grown.items():
        by_kind.setdefault(kind, {})[path] = value
    rows = [(value, path, kind) for kind, paths in by_kind.items() for path, value in collapsed(paths).items()]
    rows.sort(key=lambda row: (-row[0], row[1], row[2]))
    what = metric(name)
    told = what.cells.shown if what.cells else ""
    shown = [
        f"{told.format(path=place(path), what=kind)} {sign}{what.show(value)}{each(path)}"
        for value, path, kind in rows[:SHOWN]
    ]
    rest = sum(value * len(expanded({path: None})) for value, path, _ in rows[SHOWN:])
    more = f" and {len(rows) - SHOWN} more {sign}{what.show(rest)}" if rest else ""
    # Decreases elsewhere are named as well, so that all parts add up to the total change.
    less = sum(grown_cells(name, now, before).values())
    elsewhere = f"; elsewhere {'-' if sign == '+' else '+'}{what.show(less)}" if less else ""
    return f"{word}: {', '.join(shown)}{more}{elsewhere}" if shown else ""


def grown_cells(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> Cells:
    """The growth of a metric by module path and kind. A module or a line that only moved counts as unchanged."""
    names = renamed(before, now)
    old, new = {(names.get(path, path), kind): n for (path, kind), n in cells(name, before).items()}, cells(name, now)
    old = moved_lines(old, new)
    return {key: value - old.get(key, 0) for key, value in new.items() if value > old.get(key, 0)}


def new_tensor(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """A clause on the largest tensor that is new at the memory peak; empty if no new one is known."""
    held = metric(name).cells
    if held is None or not held.table.endswith("memory") or "largest" not in before:
        return ""
    names = renamed(before, now)
    known = {(names.get(row["path"], row["path"]), row["tensor"]) for row in before["largest"]}
    for row in now.get("largest", ()):
        if (row["path"], row["tensor"]) not in known:
            size = metric(name).show(row["bytes"])
            return f"largest new tensor at the peak: {row['tensor']} of {size} in {place(row['path'])}"
    return ""


def moved_lines(old: Cells, new: Cells) -> Cells:
    """The old cells, with line numbers replaced by the numbers that the same lines have now.

    A line added higher up moves all lines below it. Cells of one file are matched in the order of their lines.
    """
    found = {key: value for key, value in old.items() if not LINE.search(key[1])}
    for group in {(path, LINE.sub("", kind)) for path, kind in old if LINE.search(kind)}:
        before, after = (sorted((key for key in side if unlined(key) == group), key=line_of) for side in (old, new))
        same = [key for key in before if key in new]
        free = [key for key in after if key not in old]
        for key in before:
            home = key if key in same else free.pop(0) if free else key
            found[home] = found.get(home, 0) + old[key]
    return found


def unlined(key: tuple[str, str]) -> tuple[str, str]:
    """A cell's path and kind without the line number."""
    return key[0], LINE.sub("", key[1])


def line_of(key: tuple[str, str]) -> int:
    """The line number in a cell's kind; 0 if it has none."""
    found = LINE.search(key[1])
    return int(found[0][1:]) if found else 0


def cells(name: str, ledger: Mapping[str, Any]) -> Cells:
    """A metric's value by module path and by group of operators, part of memory, or kind of event."""
    held = metric(name).cells
    if held is None:
        return {}
    table = expanded(ledger.get(held.table, {}))
    return {
        (path, what): value if held.column is None else value[held.column]
        for path, found in table.items()
        for what, value in found.items()
    }


def each(path: str) -> str:
    """`` each`` if one value stands for each of several layers, else nothing."""
    return " each" if "{" in path else ""


def place(path: str) -> str:
    """A module path in words."""
    return path or "the model itself, or outside of it"
