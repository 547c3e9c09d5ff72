"""Makes tables of a step's work as the dry run counted it, by group of operators and by module."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from perfgate.gate.attribution import place
from perfgate.records.layers import expanded
from perfgate.records.runfile import RunFile
from perfgate.reports.memory import found
from perfgate.reports.tables import share, shown
from perfgate.shared.errors import UserError

AMOUNTS = ("calls", "flops", "moved_bytes")
GROUPS = ("contractions", "normalizations", "element-wise", "other")
Row = dict[str, Any]


def work_rows(run: RunFile) -> list[Row]:
    """A mapping for each case, module and group of operators: calls, FLOPs and bytes moved.

    Equal layers share a row such as ``h.{0-11}.mlp``. Its amounts are the sums over all of them, and ``modules`` says
    how many they are.
    """
    return [
        {"case": case, "module": path, "modules": count, "group": group, **amounts(row, count)}
        for case, launches in run.by_case().items()
        for path, groups in found(launches, "dry").ledger.get("work", {}).items()
        for count in (len(expanded({path: None})),)
        for group, row in groups.items()
    ]


def amounts(row: Sequence[int], count: int = 1) -> dict[str, int]:
    """Calls, FLOPs and bytes of ``count`` equal modules, by name."""
    return {name: count * value for name, value in zip(AMOUNTS, row, strict=True)}


def group_table(run: RunFile) -> pd.DataFrame:
    """A row for each case with each group's share of FLOPs and of bytes moved; empty if no case ran dry."""
    table = []
    for case, rows in by(work_rows(run), "case"):
        total = summed(rows)
        cells: Row = {"case": case, "FLOP/byte": intensity(total)}
        for group in GROUPS:
            mine = summed([row for row in rows if row["group"] == group])
            shares = [share(mine[name] / total[name], "") if total[name] else "-" for name in AMOUNTS[1:]]
            cells[group] = " / ".join(map(str, shares)) if mine["calls"] else None
        table.append(cells)
    return pd.DataFrame(table).dropna(axis="columns", how="all")


def work_tables(run: RunFile, part: str) -> dict[str, pd.DataFrame]:
    """Two tables for each case whose id contains ``part``, by group of operators and by module, most bytes first.

    Raises:
        UserError: no such case ran dry.
    """
    tables = {}
    for case, rows in by(work_rows(run), "case"):
        if part in case:
            tables[f"{case}: by group of operators"] = work_table(rows, ("group",))
            tables[f"{case}: by module"] = work_table(rows, ("module", "group"))
    if not tables:
        raise UserError(f"run {run.header['run_id']} has no dry run of a case whose id contains {part!r}")
    return tables


def work_table(rows: Sequence[Row], keys: tuple[str, ...]) -> pd.DataFrame:
    """A row for each combination of the keys' values, with its shares of the total."""
    total = summed(rows)
    sums: dict[tuple[str, ...], dict[str, int]] = {}
    for row in rows:
        amounts = sums.setdefault(tuple(row[key] for key in keys), dict.fromkeys(AMOUNTS, 0))
        for name in AMOUNTS:
            amounts[name] += row[name]
    ordered = sorted(sums.items(), key=lambda item: -item[1]["moved_bytes"])
    return pd.DataFrame(
        {
            **{key: name if key != "module" else place(name) for key, name in zip(keys, names, strict=True)},
            "calls": mine["calls"],
            "FLOPs": shown("flops", mine["flops"]),
            "of all FLOPs": share(mine["flops"] / total["flops"], "") if total["flops"] else None,
            "bytes moved": shown("moved_bytes", mine["moved_bytes"]),
            "of all bytes": share(mine["moved_bytes"] / total["moved_bytes"], "") if total["moved_bytes"] else None,
            "FLOP/byte": intensity(mine),
        }
        for names, mine in ordered
    )


def by(rows: Sequence[Row], key: str) -> Iterator[tuple[str, list[Row]]]:
    """Group rows by the value of a key, in the order of first appearance."""
    for value in dict.fromkeys(row[key] for row in rows):
        yield value, [row for row in rows if row[key] == value]


def summed(rows: Sequence[Row]) -> dict[str, int]:
    """The sums of all rows' amounts, by name."""
    return {name: sum(row[name] for row in rows) for name in AMOUNTS}


def intensity(amount: Mapping[str, int]) -> str | None:
    """FLOPs for each byte moved, as text; ``None`` if no byte is moved."""
    return f"{amount['flops'] / amount['moved_bytes']:.3g}" if amount["moved_bytes"] else None
