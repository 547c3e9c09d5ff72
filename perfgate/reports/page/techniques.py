"""The settings of each technique side by side, with ratios to vanilla and their intervals."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from perfgate.gate.statistics import t_quantile
from perfgate.records.launch import Launch
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.reports.tables import ANYWHERE, file_of, group_of, setting_rows, workload_lines
from perfgate.shared.metrics import metric

COLUMNS = ("step_time_s", "samples_per_s", "tokens_per_s", "peak_memory_bytes", "predicted_peak_bytes", "flops")
CONFIDENCE = 0.95


def techniques(run: RunFile) -> list[dict[str, Any]]:
    """A table for each technique: a row for each setting, in the order of the run file."""
    launches = run.by_case()
    lines = workload_lines(run)
    owners: dict[tuple[str, str], str] = {}
    for case, line in lines.items():
        if launches.get(case):
            for where in (file_of(case), ANYWHERE):
                owners.setdefault((where, line["workload"]), case)
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in setting_rows(run):
        case = row["case"]
        identity = lines[case]["vanilla"] or ""
        vanilla = owners.get((file_of(case), identity)) or owners.get((ANYWHERE, identity))
        values = {name: row[name] for name in COLUMNS if name in row}
        if not values:
            continue
        ratios = {}
        if vanilla and vanilla != case and not row["vanilla"]:
            for name in values:
                found = ratio(name, launches.get(case, ()), launches.get(vanilla, ()))
                if found:
                    ratios[name] = found
        shown = {key: row[key] for key in ("case", "model", "setting", "vanilla")}
        groups.setdefault(group_of(row), []).append({**shown, "values": values, "ratios": ratios})
    return [{"name": name, "rows": rows} for name, rows in groups.items()]


def ratio(name: str, launches: Sequence[Launch], vanilla: Sequence[Launch]) -> list[float] | None:
    """The ratio to vanilla and the ends of its 95% interval over launches, equal where it is exact.

    ``None`` where a side lacks the metric. With a single launch a noisy metric has no interval: the ends are 0.
    """
    here, there = (logs(name, side) for side in (launches, vanilla))
    if not here or not there:
        return None
    centre = statistics.fmean(here) - statistics.fmean(there)
    if metric(name).exact or metric(name).kind == "bytes":
        return [math.exp(centre)] * 3
    if len(here) < 2 or len(there) < 2:
        return [math.exp(centre), 0.0, 0.0]
    errors = [statistics.variance(side) / len(side) for side in (here, there)]
    error = math.sqrt(sum(errors))
    # Welch: the freedom of a difference of two means whose variances differ.
    parts = sum(e**2 / (len(side) - 1) for e, side in zip(errors, (here, there), strict=True))
    freedom = sum(errors) ** 2 / parts if parts else 1.0
    reach = t_quantile((1 + CONFIDENCE) / 2, freedom) * error
    return [math.exp(value) for value in (centre, centre - reach, centre + reach)]


def logs(name: str, launches: Sequence[Launch]) -> list[float]:
    """The logarithm of a metric in each valid launch; of a time in yardsticks, where one ran beside every launch."""
    valid = [launch for launch in launches if not launch.invalid and name in launch.metrics]
    if metric(name).noisy:
        relative = [launch.in_yardsticks(name) for launch in valid]
        if all(relative):
            return [math.log(value) for value in relative if value]
    return [math.log(launch.value(name)) for launch in valid if launch.value(name) > 0]


def effects(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """What each effect promised, and what was measured, as ratios of setting over vanilla."""
    return [
        {
            "case": verdict.case,
            "metric": verdict.metric,
            "promised": verdict.expected,
            "measured": None if verdict.change is None else 1 + verdict.change,
            "low": None if verdict.low is None else 1 + verdict.low,
            "high": None if verdict.high is None else 1 + verdict.high,
            "verdict": verdict.verdict,
            "why": verdict.why,
        }
        for verdict in verdicts
        if verdict.expected
    ]


def points(tables: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For the plot of time over memory: all settings of each model and kind of work that have both."""
    groups: dict[str, dict[str, dict[str, Any]]] = {}
    for table in tables:
        kind = str(table["name"]).partition(" / ")[0]
        for row in table["rows"]:
            values = row["values"]
            memory = values.get("peak_memory_bytes")
            time = values.get("step_time_s")
            if memory and time and row["model"]:
                label = row["setting"] or "defaults"
                group = groups.setdefault(f"{row['model']}, {kind}", {})
                group.setdefault(
                    f"{label}{row['vanilla']}",
                    {"case": row["case"], "setting": label, "memory": memory, "time": time, "vanilla": row["vanilla"]},
                )
    return [{"name": name, "points": list(group.values())} for name, group in groups.items() if len(group) > 1]
