"""Compares a model's settings by speed and peak memory, and finds those that are better than all others."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from perfgate.records.runfile import RunFile
from perfgate.reports.choices import JOULES, PEAK, STEP, Choice, by_energy, drawn, groups_of
from perfgate.reports.plane import Limits, fastest
from perfgate.reports.plane_svg import svg
from perfgate.reports.report import Report, Section
from perfgate.reports.tables import number, shown
from perfgate.shared.errors import UserError, nearest

LEGEND = (
    "* against each other setting it is faster beyond the 95% interval of their ratio, or takes at least 0.5% less "
    "memory; of settings that cannot be told apart it has the fewest changes. Ratios are to vanilla, with intervals."
)
ENERGY_LEGEND = (
    "In tables of time over energy, * needs at least 10% less energy, as counters are coarse. Energy is that of the "
    "whole device, with what it takes when idle."
)


def choices(runs: Sequence[RunFile], model: str | None = None) -> dict[str, list[Choice]]:
    """The measured settings of each model and kind of work, the fastest first.

    Args:
        runs: run files of one machine.
        model: the name of the only model to return; ``None`` for all models.

    Raises:
        UserError: the runs are from several machines, contain nothing to compare, or do not contain this model.
    """
    machines = sorted({run.header["machine"]["name"] for run in runs})
    if len(machines) > 1:
        raise UserError(
            f"the runs are from {' and '.join(machines)}; times of different machines cannot be compared: "
            "name run files of one machine"
        )
    groups = groups_of(runs)
    if model is not None:
        known = {choice.model for group in groups.values() for choice in group}
        if model not in known:
            raise UserError(f"no two settings of model {model!r} were measured{nearest(model, sorted(known))}")
        groups = {name: group for name, group in groups.items() if group[0].model == model}
    if not groups:
        raise UserError(
            "the runs hold no two settings of one model, with time and peak memory; run some: pytest perf_tests"
        )
    return groups


def table(group: Sequence[Choice], limits: Limits) -> pd.DataFrame:
    """The choices as a table for people."""
    speed = group[0].speed_unit.replace("_per_s", "/s")
    limited = limits != Limits()
    rows = [
        {
            "": "*" if choice.point.front else "",
            "setting": f"{choice.point.setting}{' (vanilla)' if choice.point.vanilla else ''}",
            speed: number(choice.speed),
            "step": shown(STEP, choice.point.step_s),
            "peak memory": shown(PEAK, choice.point.memory_bytes),
            f"{speed} ratio": speed_ratio(choice),
            "memory ratio": None if choice.memory_to_vanilla is None else f"{choice.memory_to_vanilla:.2f}x",
            "within limits": ("yes" if limits.keeps(choice.point) else "no") if limited else None,
        }
        for choice in group
    ]
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def energy_table(group: Sequence[Choice]) -> pd.DataFrame:
    """The choices whose energy was counted as a table for people, the fastest first."""
    rows = [
        {
            "": "*" if choice.point.front else "",
            "setting": f"{choice.point.setting}{' (vanilla)' if choice.point.vanilla else ''}",
            f"time/{choice.unit}": shown(STEP, choice.point.unit_s),
            f"energy/{choice.unit}": shown(JOULES, choice.point.energy_j),
            "time ratio": None if choice.time_to_vanilla is None else f"{choice.time_to_vanilla[0]:.2f}x",
            "energy ratio": None if choice.energy_to_vanilla is None else f"{choice.energy_to_vanilla:.2f}x",
        }
        for choice in group
    ]
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def speed_ratio(choice: Choice) -> str | None:
    """The ratio of speeds to vanilla, with its interval or a word on why there is none."""
    if choice.time_to_vanilla is None:
        return None
    centre, low, high = choice.time_to_vanilla
    if not low:
        return f"{1 / centre:.2f}x (one launch)"
    return f"{1 / centre:.2f}x" + (f" ({1 / high:.2f} to {1 / low:.2f})" if low != high else "")


def settings_report(groups: Mapping[str, Sequence[Choice]], limits: Limits) -> Report:
    """The report: a table for each model and kind of work, and a picture on a page."""
    found = {name: [record(choice) for choice in group] for name, group in groups.items()}
    tables = {name: table(group, limits) for name, group in groups.items()}
    energies = {
        f"{name}, time over energy": energy_table(by) for name, group in groups.items() if (by := by_energy(group))
    }
    section = Section(
        "",
        [answer(name, group, limits) for name, group in groups.items()] if limits != Limits() else [],
        {**tables, **energies},
        [LEGEND, ENERGY_LEGEND] if energies else [LEGEND],
        drawn(groups),
    )
    return Report([section], pd.DataFrame([row for rows in found.values() for row in rows]), found)


def answer(name: str, group: Sequence[Choice], limits: Limits) -> str:
    """The fastest setting within the limits, as a sentence."""
    best = fastest([choice.point for choice in group], limits)
    if best is None:
        return f"{name}: no setting keeps the limits."
    peak, step = shown(PEAK, best.memory_bytes), shown(STEP, best.step_s)
    speed = f"{number(1 / best.unit_s)} {group[0].unit}s a second"
    return f"{name}: the fastest setting within the limits is {best.setting}, with {speed}, {step} a step and {peak}."


def record(choice: Choice) -> dict[str, Any]:
    """A choice as plain numbers."""
    ratios = choice.time_to_vanilla
    low, high = (None, None) if ratios is None or not ratios[1] else (1 / ratios[2], 1 / ratios[1])
    return {
        "kind": choice.kind,
        "task": choice.task,
        "model": choice.model,
        "work": choice.work,
        "setting": choice.point.setting,
        "speed": choice.speed,
        "speed_unit": choice.speed_unit,
        "step_time_s": choice.point.step_s,
        "peak_memory_bytes": choice.point.memory_bytes,
        "vanilla": choice.point.vanilla,
        "front": choice.point.front,
        "speed_to_vanilla": None if ratios is None else 1 / ratios[0],
        "speed_to_vanilla_low": low,
        "speed_to_vanilla_high": high,
        "memory_to_vanilla": choice.memory_to_vanilla,
        "energy_j": choice.point.energy_j,
        "energy_to_vanilla": choice.energy_to_vanilla,
    }


def draw(groups: Mapping[str, Sequence[Choice]], path: Path) -> None:
    """Draw the first group as SVG: a dot with its name for each setting, by memory and time.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        path.write_bytes(svg(drawn(groups)[0]))
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None
