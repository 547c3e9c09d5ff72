"""The report of ``perfgate upgrade``: the versions of both sides, then regressions and improvements by cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from perfgate.gate.attribution import place
from perfgate.gate.causes import Cause, Moved, causes
from perfgate.gate.wording import moved as change_of
from perfgate.gate.wording import percent, summarize
from perfgate.records.launch import Launch
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.reports.report import Report, Section
from perfgate.reports.tables import shown, workload_lines
from perfgate.shared.metrics import metric

SHOWN_METRICS = 4
NAMED = ("torch", "transformers")
OPEN = ("stale", "invalid", "inconclusive", "new")  # with these verdicts it is unknown whether anything changed


@dataclass(frozen=True)
class UpgradeRuns:
    """The measurements of an upgrade.

    Attributes:
        moved: the packages whose versions differ, by name: before and now.
        asked: the packages that were asked for.
        software: every package before, with its version.
        tolerance: the relative growth beyond which a case failed.
        exact: the run of exact metrics.
        timed: the run of times and measured memory, if there was one.
        untold: tests that failed without a regression or were skipped before measuring: their end and its reason, by
            name.
    """

    moved: Mapping[str, Sequence[str]]
    asked: Sequence[str]
    software: Mapping[str, str]
    tolerance: float
    exact: RunFile
    timed: RunFile | None = None
    untold: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def verdicts(self) -> list[Verdict]:
        """The exact metrics' verdicts of the first run, and all other verdicts of the second."""
        timed = [found for found in self.timed.verdicts if not metric(found.metric).dry] if self.timed else []
        return [*self.exact.verdicts, *timed]


def upgrade_report(runs: UpgradeRuns) -> Report:
    """The report of an upgrade."""
    verdicts = runs.verdicts
    worse, all_better = (moved_in(runs, name) for name in ("regressed", "improved"))
    better = [found for found in all_better if matters(found.verdict, runs.tolerance)]
    by_cause, gains = causes(worse), causes(better)
    tables = {
        "Got worse, the worst first": cause_table(by_cause),
        "Got better, the best first": cause_table(gains),
        "Not known": open_table(verdicts, runs.untold),
    }
    lines = [*heading(runs), counted(runs, verdicts), little(runs, verdicts)]
    notes = [detail(cause) for cause in by_cause] + [commands(runs)]
    section = Section(
        title(runs),
        list(filter(None, lines)),
        {name: frame for name, frame in tables.items() if not frame.empty},
        notes,
    )
    rows = [verdict.to_json() for verdict in verdicts]
    document = {
        "moved": {name: list(pair) for name, pair in runs.moved.items()},
        "tolerance": runs.tolerance,
        "summary": summarize(verdicts),
        "worse": [as_json(cause) for cause in by_cause],
        "better": [as_json(cause) for cause in gains],
        "unmeasured": dict(runs.untold),
        "verdicts": rows,
        "runs": [run.header["run_id"] for run in (runs.exact, runs.timed) if run],
    }
    return Report([section], pd.DataFrame(rows), document)


def title(runs: UpgradeRuns) -> str:
    """The requested packages with both versions."""
    return f"Upgrade: {', '.join(arrow(name, runs.moved[name]) for name in runs.asked if name in runs.moved)}"


def heading(runs: UpgradeRuns) -> list[str]:
    """Sentences on the other packages that moved, and on those that stayed."""
    with_it = [arrow(name, pair) for name, pair in runs.moved.items() if name not in runs.asked]
    stayed = [
        f"{name} {runs.software[name]}"
        for name in ("python", *NAMED)
        if name not in runs.moved and name in runs.software
    ]
    moved_with = f"Moved with it: {', '.join(with_it)}." if with_it else "No other package moved with it."
    return [moved_with, f"The same on both sides: {', '.join(stayed)}."]


def arrow(name: str, pair: Sequence[str]) -> str:
    """A package with both versions."""
    before, now = pair
    return f"{name} {before or '(absent)'} -> {now or '(absent)'}"


def counted(runs: UpgradeRuns, verdicts: Sequence[Verdict]) -> str:
    """A sentence with the numbers of cases and verdicts, and the growth that fails."""
    cases = len({verdict.case for verdict in verdicts})
    counts = ", ".join(f"{count} {name}" for name, count in summarize(verdicts).items())
    measured = "exact metrics and times" if runs.timed else "exact metrics alone, no times"
    failing = f"More than {percent(runs.tolerance, '')} of growth fails, and any new host sync"
    return f"{cases} {'case' if cases == 1 else 'cases'}, {measured}; by metric: {counts}. {failing}."


def little(runs: UpgradeRuns, verdicts: Sequence[Verdict]) -> str:
    """A sentence on the changes within the tolerance; empty if there are none."""
    small = [verdict.change for verdict in verdicts if verdict.verdict in ("pass", "improved") and verdict.change]
    within = [change for change in small if abs(change) <= runs.tolerance]
    grew = sum(change > 0 for change in within)
    if not within:
        return ""
    what = "metric" if grew == 1 else "metrics"
    return f"Within that, {grew} {what} of single cases grew and {len(within) - grew} fell (perfgate report has them)."


def matters(verdict: Verdict, tolerance: float) -> bool:
    """Whether an improvement is as large as a regression that would fail."""
    return metric(verdict.metric).each_counts or verdict.change is None or abs(verdict.change) > tolerance


def moved_in(runs: UpgradeRuns, name: str) -> list[Moved]:
    """Every verdict of this kind, with the architecture of its case and the ledgers of both sides."""
    lines = workload_lines(runs.exact) | (workload_lines(runs.timed) if runs.timed else {})
    before, now = (ledgers(runs.exact.by_case(side)) for side in ("reference", "candidate"))
    counted_before, counted_now = (
        ledgers(runs.timed.by_case(side), "counters") if runs.timed else {} for side in ("reference", "candidate")
    )
    found = []
    for verdict in runs.verdicts:
        if verdict.verdict == name:
            dry = metric(verdict.metric).dry
            sides = (before, now) if dry else (counted_before, counted_now)
            both = sides[0].get(verdict.case, {}), sides[1].get(verdict.case, {})
            found.append(Moved(verdict, architecture(lines.get(verdict.case, {})), both))
    return found


def ledgers(launches: Mapping[str, Sequence[Launch]], pass_name: str = "dry") -> dict[str, Mapping[str, Any]]:
    """The ledger of a pass's launch, by case."""
    return {
        case: launch.ledger
        for case, group in launches.items()
        for launch in group
        if launch.pass_name == pass_name and launch.ledger
    }


def architecture(line: Mapping[str, Any]) -> str:
    """The type of the model that a case runs, or else its program."""
    spec = line.get("spec") or {}
    model = (spec.get("params") or {}).get("model")
    config = model.get("config") if isinstance(model, dict) else None
    named = config.get("model_type") if isinstance(config, dict) else None
    return str(named or line.get("model") or spec.get("program") or "unknown")


def cause_table(found: Sequence[Cause]) -> pd.DataFrame:
    """The table of causes, one row each."""
    rows = [
        {
            "architecture": cause.architecture,
            "module": root_in_words(cause),
            "what moved most": "; ".join(told(verdict) for verdict in cause.worst[:SHOWN_METRICS]),
            "cases": f"{len(cause.cases)}",
            "most in": cause.cases[0],
        }
        for cause in found
    ]
    return pd.DataFrame(rows)


def root_in_words(cause: Cause) -> str:
    """The module of a cause in words; a measured time or peak names none."""
    known = any(metric(verdict.metric).cells for verdict in cause.verdicts)
    return cause.root or (place("") if known else "not known by module")


def told(verdict: Verdict) -> str:
    """The change of a metric in a few words."""
    if verdict.metric == "dry_run":
        return "no dry run any more"
    what = f"{verdict.metric} {change_of(verdict)}".rstrip()
    return f"{what} ({shown(verdict.metric, verdict.reference)} -> {shown(verdict.metric, verdict.candidate)})"


def detail(cause: Cause) -> str:
    """A sentence on the place where the worst metric of a cause grew."""
    verdict = cause.verdicts[0]
    return f"{cause.architecture}, {verdict.case}: {told(verdict)}{f'; {verdict.why}' if verdict.why else ''}"


def open_table(verdicts: Sequence[Verdict], untold: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    """The table of cases for which the upgrade's effect is unknown, by reason."""
    groups: dict[tuple[str, str], list[Verdict]] = {}
    for name in OPEN:
        for verdict in verdicts:
            if verdict.verdict == name:
                groups.setdefault((name, verdict.why), []).append(verdict)
    ends: dict[tuple[str, str], list[str]] = {}
    for case, end in sorted(untold.items(), key=lambda item: item[1]):
        ends.setdefault(end, []).append(case)
    failed = [
        {"verdict": how, "metrics": "all", "cases": f"{len(cases)}", "one of them": cases[0], "why": why}
        for (how, why), cases in ends.items()
    ]
    rows = [
        {
            "verdict": name,
            "metrics": ", ".join(dict.fromkeys(verdict.metric for verdict in group)),
            "cases": f"{len({verdict.case for verdict in group})}",
            "one of them": group[0].case,
            "why": why or ("the version before has nothing to hold it against" if name == "new" else ""),
        }
        for (name, why), group in groups.items()
    ]
    return pd.DataFrame([*failed, *rows])


def commands(runs: UpgradeRuns) -> str:
    """A sentence with the command for further reading."""
    files = " ".join(f"perf_output/{run.header['run_id']}.jsonl" for run in (runs.exact, runs.timed) if run)
    return f"All verdicts: perfgate report {files}"


def as_json(cause: Cause) -> dict[str, Any]:
    """A cause as JSON."""
    return {
        "architecture": cause.architecture,
        "module": cause.root,
        "cases": cause.cases,
        "verdicts": [verdict.to_json() for verdict in cause.worst],
    }
