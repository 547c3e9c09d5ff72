"""Matches modules that were renamed between two sides, by their work and their order."""

import json
from collections.abc import Mapping
from typing import Any

from perfgate.records.layers import expanded
from perfgate.shared import parsing


def renamed(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """The new names of renamed modules, by their old names.

    Only names that exist on one side alone are matched: first modules with equal work in every number, then those with
    equal FLOPs. Each time they are matched in the order of their names, with layers in numerical order.

    Args:
        before: the reference's ledger.
        now: the candidate's.
    """
    old, new = (expanded(ledger.get("work", {})) for ledger in (before, now))
    gone, come = (
        {path: work for path, work in side.items() if path not in other} for side, other in ((old, new), (new, old))
    )
    found: dict[str, str] = {}
    for shape in (whole, flops):
        free = {path: shape(work) for path, work in come.items() if path not in found.values()}
        for path in sorted(gone, key=natural):
            if path in found:
                continue
            alike = [name for name, form in free.items() if form and form == shape(gone[path])]
            if alike:
                found[path] = min(alike, key=natural)
                del free[found[path]]
    return found


def whole(work: Mapping[str, Any]) -> str:
    """A module's work as text; equal text means equal work."""
    return json.dumps(work, sort_keys=True)


def flops(work: Mapping[str, Any]) -> str:
    """The FLOPs of a module by group, as text; empty for a module without FLOPs, which would match any other."""
    told = {group: row[1] for group, row in work.items() if row[1]}
    return json.dumps(told, sort_keys=True) if told else ""


def natural(path: str) -> list[tuple[int, str]]:
    """A key that sorts layer 2 before layer 10."""
    numbered = ((part, parsing.whole(part)) for part in path.split("."))
    return [(-1, part) if number is None else (number, "") for part, number in numbered]
