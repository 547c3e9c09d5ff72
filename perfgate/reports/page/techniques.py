"""The settings of each technique side by side, with ratios to vanilla and their intervals."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.reports.page.behind import rounded
from perfgate.reports.ratios import logs, ratio
from perfgate.reports.tables import ANYWHERE, file_of, group_of, setting_rows, workload_lines

COLUMNS = ("step_time_s", "samples_per_s", "tokens_per_s", "peak_memory_bytes", "predicted_peak_bytes", "flops")


def techniques(run: RunFile) -> list[dict[str, Any]]:
    """A table for each technique: a row for each setting, in the order of the run file."""
    launches = run.by_case()
    lines = workload_lines(run)
    owners: dict[tuple[str, str], str] = {}
    for case, line in lines.items():
        if launches.get(case):
            for where in (file_of(case), ANYWHERE):
                owners.setdefault((where, line["workload"]), case)

    @cache
    def logs_of(case: str, name: str) -> list[float]:
        return logs(name, launches.get(case, ()))

    groups: dict[str, list[dict[str, Any]]] = {}
    for row in setting_rows(run):
        case = row["case"]
        identity = lines[case]["vanilla"] or ""
        vanilla = owners.get((file_of(case), identity)) or owners.get((ANYWHERE, identity))
        values = {name: rounded(row[name]) for name in COLUMNS if name in row}
        if not values:
            continue
        ratios = {}
        if vanilla and vanilla != case and not row["vanilla"]:
            for name in values:
                found = ratio(name, logs_of(case, name), logs_of(vanilla, name))
                if found:
                    ratios[name] = [rounded(value) for value in found]
        shown = {key: row[key] for key in ("case", "model", "setting", "vanilla")}
        groups.setdefault(group_of(row), []).append({**shown, "values": values, "ratios": ratios})
    return [{"name": name, "rows": rows} for name, rows in groups.items()]


def effects(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The promised and the measured ratio of setting to vanilla for each effect."""
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
