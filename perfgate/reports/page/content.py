"""The content of the page, made from run files: one mapping, of the same form for a run and for a comparison."""

from collections.abc import Mapping, Sequence
from typing import Any

from perfgate.gate.wording import can_see, counted_as, moved
from perfgate.records.launch import Launch
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.reports.choices import drawn, groups_of
from perfgate.reports.difference import Sides
from perfgate.reports.page.behind import baseline_ledger, behind, rounded
from perfgate.reports.page.overview import (
    counts,
    environment,
    headline,
    metric_counts,
    sides,
    sight,
    storing,
    where_time_went,
)
from perfgate.reports.page.rows import CaseRow, case_rows, commands, sentences
from perfgate.reports.page.techniques import effects, techniques
from perfgate.reports.tables import workload_lines
from perfgate.reports.traces import traces_of_sides
from perfgate.shared.metrics import metric

Content = Mapping[str, Any]
FEW_CASES = 1000  # a page with more cases has details only of those that did not simply pass
QUIET = ("pass", "new", "skipped", "none")


def content_of(run: RunFile, base: RunFile | None = None, verdicts: Sequence[Verdict] | None = None) -> Content:
    """The content for a run, or for a comparison of two.

    Args:
        run: the run, or HEAD of a comparison.
        base: BASE of a comparison; ``None`` for a run. It may be the same file, for its two sides.
        verdicts: the verdicts of the comparison; a run has its own.
    """
    judged = run.verdicts if verdicts is None else tuple(verdicts)
    rows = case_rows(run, judged, ends=base is None)
    now, before = sides(run, base)
    against = against_what(run, base, judged)
    word, sentence = headline(rows, against)
    tables, traces = techniques(run), traced(run, base)
    used = sorted({v.metric for v in judged} | {name for row in rows for name in row.values})
    return {
        "title": f"{'Comparison with' if base else 'Perfgate run'} {run.header['run_id']}",
        "run": str(run.header["run_id"]),
        "word": word,
        "headline": sentence,
        "sight": [*sight(run, judged), *(storing(run, judged) if base is None else [])],
        "counts": counts(rows),
        "metric_counts": metric_counts(judged),
        "now": now,
        "before": before,
        "against": against,
        "environment": environment(now, before),
        "failed": [{**failed(row, run), "traces": traces.get(row.case, [])} for row in rows if row.failed],
        "cases": [case(row) for row in rows],
        "details": details(run, base, rows, traces),
        "techniques": tables,
        "planes": planes(run),
        "effects": effects(judged),
        "time": where_time_went(run),
        "slowest": slowest(rows),
        "skipped": skipped(rows),
        "metrics": {name: about(name) for name in sorted({*used, *more_metrics(run)})},
    }


def traced(run: RunFile, base: RunFile | None) -> Mapping[str, list[Content]]:
    """The traces of each case: the side's name on the page, the file beside the run file, or why there is none."""
    words = {"candidate": "now", "reference": "before"}
    return {
        case: [{"side": words[trace.side], "file": trace.file, "why": trace.why} for trace in found]
        for case, found in traces_of_sides(run, base).items()
    }


def planes(run: RunFile) -> list[Content]:
    """The pictures of time over memory, for the settings of each model and kind of work."""
    return [*drawn(groups_of([run]))]


def against_what(run: RunFile, base: RunFile | None, verdicts: Sequence[Verdict]) -> str:
    """The noun for the other side of the comparison; empty if nothing was stored."""
    if base is not None and base is not run:
        return f"run {base.header['run_id']}"
    reference = run.header.get("reference")
    if reference:
        return f"reference {reference.get('name', '')}".strip()
    return "the stored baseline" if any(v.verdict != "new" for v in verdicts) else ""


def failed(row: CaseRow, run: RunFile) -> Content:
    """A failed case for the top of the page."""
    again, accept = commands(row, run)
    worse = [verdict for verdict in row.verdicts if counted_as(verdict) == "regressed"]
    return {
        "case": row.case,
        "verdict": row.verdict,
        "model": row.model,
        "sentences": sentences(row),
        "intervals": [picture(verdict) for verdict in worse if verdict.change is not None],
        "causes": [{"metric": verdict.metric, "why": verdict.why} for verdict in worse if verdict.why],
        "again": again,
        "accept": accept,
    }


def picture(verdict: Verdict) -> Content:
    """A verdict's interval and its tolerance, as positions on a line from 0 to 100."""
    change = verdict.change or 0.0
    low = change if verdict.low is None else verdict.low
    high = change if verdict.high is None else verdict.high
    tolerance = verdict.tolerance or 0.0
    left = min(0.0, low, change) - 0.1 * max(abs(high), tolerance, 1e-6)
    right = max(high, change, tolerance) * 1.12 or 1.0
    what = metric(verdict.metric)

    def at(value: float) -> float:
        return round(100 * (value - left) / (right - left), 2)

    return {
        "metric": verdict.metric,
        "moved": moved(verdict) or "from nothing",
        "now": "" if verdict.candidate is None else what.show(verdict.candidate),
        "before": "" if verdict.reference is None else what.show(verdict.reference),
        "low": f"{low:+.1%}",
        "high": f"{high:+.1%}",
        "exact": low == high,
        "tolerance": f"{tolerance:.1%}",
        "x": {"zero": at(0), "tolerance": at(tolerance), "low": at(low), "high": at(high), "change": at(change)},
    }


def case(row: CaseRow) -> Content:
    """A row of the table of all cases, without empty fields, so that ten thousand rows stay small."""
    found = {
        "id": row.case,
        "verdict": row.verdict,
        "technique": row.technique,
        "model": row.model,
        "setting": row.setting,
        "values": {name: rounded(value) for name, value in row.values.items()},
        "verdicts": [single(verdict) for verdict in row.verdicts],
        "message": row.message if row.verdict not in ("pass", "new") else "",
        "took_s": row.took_s,
    }
    return {key: value for key, value in found.items() if value not in (None, "", {}, [])}


def single(verdict: Verdict) -> Content:
    """One verdict without values at their default."""
    found = {
        "metric": verdict.metric,
        "verdict": counted_as(verdict),
        "change": verdict.change,
        "low": verdict.low,
        "high": verdict.high,
        "tolerance": verdict.tolerance,
        "before": verdict.reference,
        "now": verdict.candidate,
        "sees": sees(verdict),
        "why": verdict.why,
        "promised": verdict.expected,
        "accepted": verdict.accepted,
        "since": verdict.since,
    }
    if found["low"] == found["high"] == found["change"]:
        del found["low"], found["high"]
    return {
        key: rounded(value) if isinstance(value, float) else value
        for key, value in found.items()
        if value not in (None, "")
    }


def sees(verdict: Verdict) -> str:
    """The smallest change that a verdict could have shown, as text; empty if not known."""
    if verdict.smallest_detectable is None:
        return ""
    return can_see(verdict.smallest_detectable) if verdict.smallest_detectable else "any change"


def details(
    run: RunFile, base: RunFile | None, rows: Sequence[CaseRow], traces: Mapping[str, list[Content]]
) -> Content:
    """The details behind the rows, by case."""
    wanted = {row.case for row in rows if len(rows) <= FEW_CASES or row.verdict not in QUIET}
    now = grouped(run.launches, "candidate", wanted)
    other = run if base is None else base
    before = grouped(other.launches, "candidate" if base is not None and base is not run else "reference", wanted)
    lines = workload_lines(run)
    stored = {line["case"]: line for line in run.others if line.get("kind") == "baseline"} if base is None else {}
    return {
        name: behind(
            Sides(
                tuple(now.get(name, ())),
                tuple(before.get(name, ())),
                baseline_ledger(now.get(name, ()), stored.get(name)),
            ),
            lines.get(name, {}),
            stored.get(name),
        )
        | ({"traces": traces[name]} if name in traces else {})
        for name in (row.case for row in rows)
        if name in wanted and (name in now or name in before)
    }


def grouped(launches: Sequence[Launch], side: str, wanted: set[str]) -> dict[str, list[Launch]]:
    """All launches of a side by case, including those of confirmations."""
    found: dict[str, list[Launch]] = {}
    for launch in launches:
        if launch.side == side and launch.case in wanted:
            found.setdefault(launch.case, []).append(launch)
    return found


def slowest(rows: Sequence[CaseRow]) -> list[Content]:
    """The ten cases that took longest."""
    timed = [row for row in rows if row.took_s is not None]
    return [
        {"case": row.case, "seconds": row.took_s} for row in sorted(timed, key=lambda row: -(row.took_s or 0.0))[:10]
    ]


def skipped(rows: Sequence[CaseRow]) -> list[Content]:
    """The reasons why cases were skipped or could not be measured, with the cases of each; the most common first."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.ended == "skipped" or row.verdict in ("invalid", "none"):
            why = next((v.why for v in row.verdicts if v.verdict == "invalid" and v.why), "")
            reasons.setdefault(why or row.message or "the run file holds no verdict on it", []).append(row.case)
    return [{"why": why, "cases": cases} for why, cases in sorted(reasons.items(), key=lambda item: -len(item[1]))]


def more_metrics(run: RunFile) -> set[str]:
    """The names of all metrics in launches, and of those that ledgers attribute to modules."""
    return {name for launch in run.launches for name in launch.metrics} | {
        "python_calls",
        "graph_breaks",
        "leaked_bytes",
    }


def about(name: str) -> Mapping[str, str]:
    """The facts about a metric that the page needs."""
    what = metric(name)
    return {"unit": what.unit, "kind": what.kind}
