"""The measured settings of each model and kind of work, as points in time, memory and energy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perfgate.records.launch import Launch, medians
from perfgate.records.runfile import RunFile
from perfgate.reports.plane import ENERGY, Point, drawing, with_front
from perfgate.reports.ratios import Spread, compared, spread
from perfgate.reports.tables import file_of, words, workload_lines

SPEEDS = {"training": "samples_per_s", "inference": "tokens_per_s"}
PEAK, STEP, JOULES = "peak_memory_bytes", "step_time_s", "energy_j"
# These settings say how much work there is, and not how it is done; only cases with equal values are compared.
WORK = ("sequence_length", "prompt_length", "new_tokens", "lengths")


@dataclass(frozen=True)
class Choice:
    """One measured workload.

    Attributes:
        kind: ``training`` or ``inference``: the folder of its case.
        task: the model's task.
        model: the model's name.
        work: the sizes of its work that are not at their default, as text; empty if all are.
        speed_unit: the metric of its speed: ``samples_per_s``, or for generation ``tokens_per_s``.
        speed: the value of that metric.
        point: its time and memory.
        time_to_vanilla: the ratio of its time a sample or token to vanilla's, and the ends of its interval, 0 where
            they are not known; ``None`` if vanilla was not measured.
        memory_to_vanilla: ratio to vanilla's peak memory; ``None`` if vanilla was not measured.
        energy_to_vanilla: ratio to vanilla's joules a sample or token; ``None`` if either was not counted.
    """

    kind: str
    task: str
    model: str
    work: str
    speed_unit: str
    speed: float
    point: Point
    time_to_vanilla: tuple[float, float, float] | None = None
    memory_to_vanilla: float | None = None
    energy_to_vanilla: float | None = None

    @property
    def group(self) -> str:
        """The name of the group of settings that it can be compared with."""
        task, work = f" ({self.task})" if self.task else "", f", {self.work}" if self.work else ""
        return f"{self.model}, {self.kind}{task}{work}"

    @property
    def unit(self) -> str:
        """The unit of its speed: ``sample`` or ``token``."""
        return "token" if self.speed_unit == "tokens_per_s" else "sample"


def groups_of(runs: Sequence[RunFile]) -> dict[str, list[Choice]]:
    """The measured settings of each model and kind of work that has at least two, the fastest first.

    If several cases measured the same workload, as happens with vanilla, it counts once, with all its launches.

    Args:
        runs: run files of one machine.
    """
    found: dict[str, list[Choice]] = {}
    for choice in measured(runs):
        found.setdefault(f"{choice.group}{choice.unit}", []).append(choice)
    return {group[0].group: placed(group) for group in found.values() if len(group) > 1}


def drawn(groups: Mapping[str, Sequence[Choice]]) -> list[Mapping[str, object]]:
    """The pictures of each group as data: time over memory and, if energy was counted, time over energy."""
    found: list[Mapping[str, object]] = []
    for name, group in groups.items():
        found.append(drawing(name, group[0].unit, [choice.point for choice in group]))
        if counted := by_energy(group):
            points = [choice.point for choice in counted]
            found.append(drawing(f"{name}, time over energy", group[0].unit, points, ENERGY))
    return found


def by_energy(group: Sequence[Choice]) -> list[Choice]:
    """The choices with counted energy and their front in time and energy; empty for fewer than two."""
    counted = {choice.point.case: choice for choice in group if choice.point.energy_j}
    points = with_front([choice.point for choice in counted.values()], ENERGY)
    return [replace(counted[point.case], point=point) for point in points] if len(points) > 1 else []


def measured(runs: Sequence[RunFile]) -> list[Choice]:
    """One choice for each workload with a time, a speed and a peak memory."""
    launches: dict[str, list[Launch]] = {}
    heads: dict[str, tuple[str, Mapping[str, object]]] = {}
    for run in runs:
        by_case = run.by_case()
        for case, line in workload_lines(run).items():
            same = [launch for launch in by_case.get(case, []) if launch.workload == line["workload"]]
            launches.setdefault(line["workload"], []).extend(same)
            heads.setdefault(line["workload"], (case, line))
    choices = (choice_of(case, line, launches[workload]) for workload, (case, line) in heads.items())
    return [choice for choice in choices if choice]


def choice_of(case: str, line: Mapping[str, object], launches: Sequence[Launch]) -> Choice | None:
    """The choice of a case; ``None`` if it lacks a metric or a model."""
    values = medians(launches)
    kind = file_of(case).partition("/")[0]
    speed_unit = SPEEDS.get(kind, "samples_per_s")
    if speed_unit not in values:
        speed_unit = "samples_per_s"
    if not line["model"] or not all(values.get(name) for name in (speed_unit, PEAK, STEP)):
        return None
    setting: Mapping[str, object] = line["setting"] or {}  # type: ignore[assignment]
    params: Mapping[str, object] = line["spec"]["params"]  # type: ignore[index]
    chosen = {name: value for name, value in setting.items() if name not in WORK and name != "task"}
    work = {name: value for name, value in setting.items() if name in WORK}
    found = spread(STEP, launches)
    count = values[speed_unit] * values[STEP]
    point = Point(
        words(chosen),
        values[PEAK],
        values[STEP],
        1 / values[speed_unit],
        line["workload"] == line["vanilla"],
        found and Spread(found.mean - math.log(count), found.error, found.df),
        case,
        energy_j=values[JOULES] / count if JOULES in values else None,
    )
    about = kind, str(params.get("task", "")), str(line["model"]), words(work) if work else ""
    return Choice(*about, speed_unit, values[speed_unit], point)


def placed(group: Sequence[Choice]) -> list[Choice]:
    """The same choices with their ratios and their place on the front, fastest first."""
    vanilla = next((choice.point for choice in group if choice.point.vanilla), None)
    by_case = {choice.point.case: choice for choice in group}
    found = []
    for point in with_front([choice.point for choice in group]):
        choice = replace(by_case[point.case], point=point)
        if vanilla:
            choice = replace(
                choice,
                time_to_vanilla=time_ratio(point, vanilla),
                memory_to_vanilla=point.memory_bytes / vanilla.memory_bytes,
                energy_to_vanilla=point.energy_j / vanilla.energy_j if point.energy_j and vanilla.energy_j else None,
            )
        found.append(choice)
    return found


def time_ratio(point: Point, vanilla: Point) -> tuple[float, float, float]:
    """The ratio of two times, and the ends of its interval, which are 0 if not known."""
    if point.case == vanilla.case:
        return 1.0, 1.0, 1.0
    if point.spread is None or vanilla.spread is None:
        return point.unit_s / vanilla.unit_s, 0.0, 0.0
    centre, low, high = compared(point.spread, vanilla.spread)
    return centre, low, high
