"""Compares a model's settings by speed and peak memory, and finds the Pareto front of the two."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd

from perfgate.records.launch import Launch, medians
from perfgate.records.runfile import RunFile
from perfgate.reports.report import Report, Section
from perfgate.reports.tables import file_of, number, ratio, shown, words, workload_lines
from perfgate.shared.errors import UserError, nearest
from perfgate.shared.metrics import metric

SPEEDS = {"training": "samples_per_s", "inference": "tokens_per_s"}
PEAK = "peak_memory_bytes"


@dataclass(frozen=True)
class Choice:
    """One workload that was measured.

    Attributes:
        kind: ``training`` or ``inference``: the folder of its case.
        task: the model's task.
        model: the model's name.
        setting: the settings that are not at their default, as text.
        speed: samples a second; for generation, tokens a second.
        speed_unit: the name of the metric in ``speed``.
        peak_memory_bytes: the largest amount of memory in use at once.
        vanilla: whether every setting is at its default.
        front: whether it is on the Pareto front: no other is at least as good in both, and better in one.
        speed_to_vanilla: ratio to vanilla's speed; ``None`` if vanilla was not measured.
        memory_to_vanilla: ratio to vanilla's peak memory; ``None`` if vanilla was not measured.
    """

    kind: str
    task: str
    model: str
    setting: str
    speed: float
    speed_unit: str
    peak_memory_bytes: float
    vanilla: bool
    front: bool = False
    speed_to_vanilla: float | None = None
    memory_to_vanilla: float | None = None


def choices(runs: Sequence[RunFile], model: str | None = None) -> dict[str, list[Choice]]:
    """The measured settings of each model and kind of work, the fastest first.

    A group with a single setting is left out. If several cases measured the same workload, as happens with vanilla, it
    counts once, with the median over all its launches.

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
    found: dict[str, list[Choice]] = {}
    for choice in measured(runs):
        found.setdefault(f"{choice.model}, {choice.kind} ({choice.task})", []).append(choice)
    groups = {name: placed(group) for name, group in found.items() if len(group) > 1}
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


def measured(runs: Sequence[RunFile]) -> list[Choice]:
    """One choice for each workload that has both a speed and a peak memory."""
    launches: dict[str, list[Launch]] = {}
    heads: dict[str, tuple[str, Mapping[str, object]]] = {}
    for run in runs:
        for case, line in workload_lines(run).items():
            same = [launch for launch in run.by_case().get(case, []) if launch.workload == line["workload"]]
            launches.setdefault(line["workload"], []).extend(same)
            heads.setdefault(line["workload"], (case, line))
    found = []
    for workload, (case, line) in heads.items():
        values = medians(launches[workload])
        kind = file_of(case).partition("/")[0]
        speed_unit = SPEEDS.get(kind, "samples_per_s")
        if speed_unit not in values:
            speed_unit = "samples_per_s"
        if speed_unit in values and PEAK in values and line["model"]:
            params = line["spec"]["params"]  # type: ignore[index]
            about = (kind, str(params.get("task", "")), str(line["model"]), words(line["setting"]))  # type: ignore[arg-type]
            found.append(Choice(*about, values[speed_unit], speed_unit, values[PEAK], workload == line["vanilla"]))
    return found


def placed(group: Sequence[Choice]) -> list[Choice]:
    """The same choices with their ratios and their place on the Pareto front filled in, the fastest first."""
    vanilla = next((choice for choice in group if choice.vanilla), None)
    found = []
    for choice in sorted(group, key=lambda choice: -choice.speed):
        front = not any(beats(other, choice) for other in group)
        choice = replace(choice, front=front)
        if vanilla and vanilla.speed_unit == choice.speed_unit:
            choice = replace(
                choice,
                speed_to_vanilla=choice.speed / vanilla.speed,
                memory_to_vanilla=choice.peak_memory_bytes / vanilla.peak_memory_bytes,
            )
        found.append(choice)
    return found


def beats(other: Choice, choice: Choice) -> bool:
    """Whether another is at least as good in speed and memory, and better in one of them (Pareto)."""
    faster, leaner = other.speed - choice.speed, choice.peak_memory_bytes - other.peak_memory_bytes
    return faster >= 0 and leaner >= 0 and (faster > 0 or leaner > 0)


def table(group: Sequence[Choice]) -> pd.DataFrame:
    """The choices as a table for people; a star marks the Pareto front."""
    speed = group[0].speed_unit.replace("_per_s", "/s")
    rows = [
        {
            "": "*" if choice.front else "",
            "setting": f"{choice.setting}{' (vanilla)' if choice.vanilla else ''}",
            speed: number(choice.speed),
            "peak memory": shown(PEAK, choice.peak_memory_bytes),
            f"{speed} ratio": ratio(choice.speed_to_vanilla),
            "memory ratio": ratio(choice.memory_to_vanilla),
        }
        for choice in group
    ]
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


LEGEND = "* no other setting is at least as good in both speed and memory (the Pareto front). Ratios are to vanilla."


def settings_report(groups: Mapping[str, Sequence[Choice]]) -> Report:
    """The report: a table for each model and kind of work."""
    found = {name: [asdict(choice) for choice in group] for name, group in groups.items()}
    section = Section(tables={name: table(group) for name, group in groups.items()}, notes=[LEGEND])
    return Report([section], pd.DataFrame([row for rows in found.values() for row in rows]), found)


def draw(groups: Mapping[str, Sequence[Choice]], path: Path) -> None:
    """Draw the first group as SVG: a dot for each setting by its memory and speed, and a line through the front.

    Raises:
        UserError: the file cannot be written.
    """
    import pygal

    name, group = next(iter(groups.items()))
    unit = group[0].speed_unit
    chart = pygal.XY(
        title=name,
        x_title="peak memory in MiB",
        y_title=f"{metric(unit).name.replace('_per_s', '')} a second",
        dots_size=5,
        js=[],
        legend_at_bottom=True,
        width=1000,
        print_labels=True,
        # Names of settings are written to the right of their dots and need room there.
        xrange=(0, 1.4 * max(choice.peak_memory_bytes for choice in group) / 2**20),
    )
    dots = [dot(choice) for choice in sorted(group, key=lambda choice: choice.peak_memory_bytes) if choice.front]
    chart.add("on the Pareto front", dots)
    chart.add("another setting is better", [dot(choice) for choice in group if not choice.front], stroke=False)
    try:
        path.write_bytes(chart.render())
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror or error}") from None


def dot(choice: Choice) -> dict[str, object]:
    """A point of the picture. Only settings on the front have their name beside it, as all names would overlap."""
    name = {"label": choice.setting} if choice.front else {}
    return {"value": (choice.peak_memory_bytes / 2**20, choice.speed), **name}
