"""Counts of a step by place, as findings hold them: by file or module, and within it by line or name."""

from collections import Counter
from collections.abc import Iterable

Table = dict[str, dict[str, int]]


def table(rows: Iterable[tuple[tuple[str, str], int]]) -> Table:
    """Sums by the first part of a place, such as a file or a module, and within it by the second part."""
    sums: Counter[tuple[str, str]] = Counter()
    for place, amount in rows:
        sums[place] += amount
    found: Table = {}
    for (first, second), amount in sorted(sums.items()):
        found.setdefault(first, {})[second] = amount
    return found


def total(rows: Table) -> int:
    """The sum of a table."""
    return sum(sum(found.values()) for found in rows.values())
