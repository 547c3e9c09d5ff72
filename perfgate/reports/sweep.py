"""The report of ``perfgate predict`` for several settings: a row for each, and which one fits and is fastest."""

import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

from perfgate.predict.memory_fit import room_bytes
from perfgate.predict.sweep import Row, Sweep
from perfgate.reports.plane import Point, drawing, with_front
from perfgate.reports.ratios import Spread
from perfgate.reports.report import Report, Section
from perfgate.reports.tables import number, shown, words

MEMORY, WORK, TIME = "peak_memory_bytes", "flops", "step_time_s"


def sweep_report(sweep: Sweep) -> Report:
    """The report: sentences, and a table with a row for each combination of settings."""
    section = Section(title(sweep), [*sentences(sweep)], {"": table(sweep)}, [*notes(sweep)], planes(sweep))
    return Report([section], rows(sweep), sweep.to_json())


def title(sweep: Sweep) -> str:
    """The report's title: the model, the task and the settings that all rows share."""
    settings = [row.setting for row in sweep.rows if row.setting]
    varied = {name for row in sweep.rows for name in row.options}
    shared = {
        name: value
        for name, value in settings[0].items()
        if name != "task" and all(name in other and other[name] == value for other in settings)
    }
    told = words({name: value for name, value in shared.items() if name not in varied})
    return f"{sweep.model}, {sweep.task}{f': {told}' if told else ''}"


def sentences(sweep: Sweep) -> Iterator[str]:
    """Sentences: the number of rows that fit, and the fastest of them."""
    known = [row for row in sweep.rows if row.cost]
    if sweep.gpu:
        fitting = [row for row in known if sweep.fits(row)]
        room = shown(MEMORY, room_bytes(sweep.gpu))
        yield f"{len(fitting)} of {len(sweep.rows)} settings fit in the {room} of {sweep.gpu.name}."
        if fitting:
            best = max(fitting, key=lambda row: row.rate(row.samples) or 0.0)
            peak = shown(MEMORY, best.cost.peak_memory_bytes) if best.cost else ""
            rate = number(best.rate(best.samples) or 0.0)
            yield f"The fastest that fits is {words(best.options)}, with {peak} and at most {rate} samples a second."
    if unknown := len(sweep.rows) - len(known):
        yield f"{unknown} of {len(sweep.rows)} settings could not be predicted; the table says why."


def notes(sweep: Sweep) -> Iterator[str]:
    """Sentences on the origin of the numbers."""
    known = sum(row.cost is not None for row in sweep.rows)
    worked_out = " The others were worked out from these." if sweep.dry_runs < known else ""
    yield f"{sweep.dry_runs} dry runs were taken for {known} settings.{worked_out}"
    if sweep.gpu:
        yield "A step takes at least this time, at the peak rates of the data sheet; so the rates are upper bounds."


def table(sweep: Sweep) -> pd.DataFrame:
    """A row for each combination: its settings, memory, time and throughput."""
    return pd.DataFrame([cells(sweep, row) for row in sweep.rows]).dropna(axis="columns", how="all")


def cells(sweep: Sweep, row: Row) -> dict[str, Any]:
    """One row of the table."""
    fits = sweep.fits(row)
    found: dict[str, Any] = {name.replace("_", " "): str(value) for name, value in row.options.items()}
    if row.cost is None:
        return found | {"peak memory": None, "remark": row.reason}
    rates = {"samples/s": row.rate(row.samples), "tokens/s": row.rate(row.tokens)}
    return found | {
        "peak memory": shown(MEMORY, row.cost.peak_memory_bytes),
        "fits": None if fits is None else "yes" if fits else "no",
        "step, at least": shown(TIME, row.step_s),
        **{f"{name}, at most": None if rate is None else number(rate) for name, rate in rates.items()},
        "work": shown(WORK, row.cost.flops),
    }


def points(sweep: Sweep) -> list[Point]:
    """The rows with known time and memory, as points for a picture."""
    found = []
    for row in sweep.rows:
        if row.cost and row.step_s and row.samples:
            unit_s = row.step_s / row.samples
            exact = Spread(math.log(unit_s), 0.0, 0)
            found.append(Point(words(row.options), row.cost.peak_memory_bytes, row.step_s, unit_s, spread=exact))
    return with_front(found)


def planes(sweep: Sweep) -> list[Any]:
    """The picture of the rows; empty without times."""
    found = points(sweep)
    return [drawing(title(sweep), "sample", found)] if len(found) > 1 else []


def rows(sweep: Sweep) -> pd.DataFrame:
    """The plain numbers: a row for each combination of settings."""
    found = []
    for line in sweep.to_json()["rows"]:
        plain = {name: value for name, value in line.items() if not isinstance(value, dict)}
        parts = {f"{part}_bytes": size for part, size in (line["memory_by_part_bytes"] or {}).items()}
        found.append({**line["options"], **plain, **parts})
    return pd.DataFrame(found).assign(model=sweep.model)
