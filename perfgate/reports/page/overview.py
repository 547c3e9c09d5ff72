"""The top of the page: one sentence about the result, the changes that could be seen, and both sides."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from perfgate.gate.outcome import not_asked
from perfgate.gate.verdicts import ALPHA
from perfgate.gate.wording import (
    COULD_NOT_TELL,
    REFERENCE_UNABLE,
    can_see,
    counted_as,
    many,
    moved,
    plural,
    summarize,
    times,
)
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.reports.page.rows import DECIDED, CaseRow
from perfgate.shared.metrics import metric

Row = dict[str, Any]
TIMES = {
    "programs_s": "steps that were measured",
    "setups_s": "programs being set up",
    "dry_s": "dry runs",
    "yardstick_s": "the yardstick beside the steps",
    "servers_s": "servers starting",
    "fork_s": "processes starting",
    "waiting_s": "waiting for the device",
}


def headline(rows: Sequence[CaseRow], against: str) -> tuple[str, str]:
    """A word for the whole run, ``worse``, ``unsure`` or ``fine``, and the sentence at the top.

    Args:
        rows: the rows of all cases.
        against: the noun for the other side; empty if there is none.
    """
    worse = [row for row in rows if row.failed]
    unsure = [row for row in rows if row.verdict in COULD_NOT_TELL]
    unasked = of_what_was_not_asked(rows)
    cases = many(len(rows), "case")
    if worse:
        moved_most = [v for row in worse for v in row.verdicts if counted_as(v) == "regressed"]
        told = ""
        if moved_most:
            worst = max(moved_most, key=importance)
            told = f": {worst.metric} of {worst.case.rpartition('::')[2]} {by_how_much(worst)}"
        other = f" Of the others, {len(unsure)} could not be decided." if unsure else ""
        which = "The only case" if len(rows) == 1 else f"{len(worse)} of {cases}"
        held = f", held against {against}" if against else ""
        how = f"got worse than {against}" if moved_most else f"failed{held}"
        return "worse", f"{which} {how}{told}.{other}{unasked}"
    decided = [row for row in rows if row.verdict in (*DECIDED, "partly")]
    if unsure:
        shown = (
            f"Nothing was shown to be worse than {against}, but"
            if against
            else "Nothing was held against anything, and"
        )
        return "unsure", f"{shown} {len(unsure)} of {cases} {'is' if len(unsure) == 1 else 'are'} undecided.{unasked}"
    if not decided:
        new = sum(row.verdict == "new" for row in rows)
        passed = sum(v.verdict == "pass" and not v.expected for row in rows for v in row.verdicts)
        if new and passed:
            lead = f"{new} of {cases} {'has' if new == 1 else 'have'} metrics that are new: nothing is stored for them."
            return "unsure", f"{lead} {many(passed, 'other metric')} got no worse than {against}."
        why = "ended without a verdict"
        if new:
            why = new_because(new, [verdict for row in rows for verdict in row.verdicts])
        return "unsure", f"Nothing was decided: {new or len(rows)} of {cases} {why}."
    better = sum(row.verdict == "improved" for row in rows)
    new = sum(row.verdict == "new" for row in rows)
    clauses = [f"{better} got better" if better else "", f"{new} {'is' if new == 1 else 'are'} new" if new else ""]
    tail = "".join(f", {clause}" for clause in clauses if clause)
    return (
        "fine",
        f"None of {len(decided)} decided {plural(len(decided), 'case')} got worse than {against}{tail}.{unasked}",
    )


def of_what_was_not_asked(rows: Sequence[CaseRow]) -> str:
    """A sentence on the cases of which this kind of run measures only a part; empty where there is none."""
    whys = [next(v.why for v in row.verdicts if not_asked(v)) for row in rows if row.verdict == "partly"]
    return f" Not all was asked in {many(len(whys), 'case')}: {whys[0]}." if whys else ""


def new_because(count: int, verdicts: Sequence[Verdict]) -> str:
    """A clause that says why cases are new, to follow their number."""
    are, them = ("is", "it") if count == 1 else ("are", "them")
    unable = any(verdict.why.startswith(REFERENCE_UNABLE) for verdict in verdicts)
    why = f"the reference cannot run {them}" if unable else f"nothing is stored to hold {them} against"
    return f"{are} new: {why}"


def importance(verdict: Verdict) -> tuple[bool, int, float]:
    """The sort key for the change in the headline: ratios first, then time before memory before counts."""
    kinds = ("noisy", "bytes", "exact")
    kind = metric(verdict.metric).kind
    place = kinds.index(kind) if kind in kinds else len(kinds)
    return bool(verdict.reference), -place, verdict.change or 0.0


def by_how_much(verdict: Verdict) -> str:
    """The change of a metric, with both values."""
    what = metric(verdict.metric)
    values = ""
    if verdict.reference is not None and verdict.candidate is not None:
        values = f", from {what.show(verdict.reference)} to {what.show(verdict.candidate)}"
    if verdict.expected:
        return f"is {times(verdict.change or 0.0)} {verdict.against}'s, expected {verdict.expected}{values}"
    return f"got worse{f' by {moved(verdict)}' if moved(verdict) else ''}{values}"


def sight(run: RunFile, verdicts: Sequence[Verdict]) -> list[str]:
    """Sentences on the changes that this run could have seen, and on its chance of a false alarm."""
    lines = []
    # Exact metrics and bytes are compared directly; only times have noise.
    noisy = [v for v in verdicts if metric(v.metric).noisy and v.verdict not in ("new", "invalid")]
    seen = sorted(v.smallest_detectable for v in noisy if v.smallest_detectable is not None)
    if seen:
        middle = can_see(statistics.median_low(seen))
        lines.append(
            f"Times: half of them would have shown a change of {middle}, all of them one of {can_see(seen[-1])}. "
            f"The suite's chance of a false alarm is at most {ALPHA:.0%}."
        )
    blind = len(noisy) - len(seen)
    if blind:
        lines.append(f"How small a change would have shown is not known for {blind} of {len(noisy)} times.")
    if not noisy:
        lines.append("No time was held against another: a slower kernel or a slower machine would not show here.")
    exact = [v for v in verdicts if metric(v.metric).exact and v.verdict in ("pass", "regressed", "improved")]
    if exact:
        lines.append(f"Exact metrics: any change shows, in {many(len({v.case for v in exact}), 'case')}.")
    return lines


def storing(run: RunFile, verdicts: Sequence[Verdict]) -> list[str]:
    """The command that stores new metrics, if the run was compared with baselines and did not store any."""
    options = run.header["options"]
    if options.get("reference") or options.get("update") or not any(v.verdict == "new" for v in verdicts):
        return []
    return ["To store what is new, run the same command with --perf-update new."]


def sides(run: RunFile, base: RunFile | None) -> tuple[Row, Row]:
    """Both sides of a run or a comparison: name, commit and properties; the second is empty if there is none."""
    now = side(run.header, "this run")
    if base is not None and base is not run:
        return now, side(base.header, "BASE")
    reference = run.header.get("reference")
    if not reference:
        return now, {}
    software = dict(reference.get("software") or {})
    software |= {name: before for name, (before, _) in (reference.get("moved") or {}).items() if before}
    now["properties"] |= {name: after for name, (_, after) in (reference.get("moved") or {}).items() if after}
    machine = machine_of(run.header)
    before = {"name": str(reference.get("name", "reference")), "commit": reference.get("commit") or "", "dirty": False}
    return now, {**before, "created": "", "properties": {**machine, **software}}


def side(header: Mapping[str, Any], name: str) -> Row:
    """One side from the header of its run file."""
    options = header["options"]
    asked = {
        f"option {key}": str(value)
        for key, value in options.items()
        if key in ("tier", "launches", "timeout_s", "shard", "environment") and value not in (None, "")
    }
    return {
        "name": name,
        "commit": header.get("commit") or "",
        "dirty": bool(header.get("dirty")),
        "created": header["created"],
        "properties": {**machine_of(header), **header["software"], **asked},
    }


def machine_of(header: Mapping[str, Any]) -> dict[str, str]:
    """The machine's properties as text, with driver and clocks if known."""
    return {f"machine {key}".removesuffix(" name"): str(value) for key, value in header["machine"].items()}


def environment(now: Row, before: Row) -> list[Row]:
    """A row for each property of the two sides, differing ones first."""
    found = []
    there = before.get("properties", {})
    for name in dict.fromkeys([*now["properties"], *there]):
        here, other = now["properties"].get(name, ""), there.get(name, "")
        known = bool(there) and (name in there) and (name in now["properties"])
        found.append({"name": name, "now": here, "before": other, "differs": known and here != other})
    return sorted(found, key=lambda row: not row["differs"])


def where_time_went(run: RunFile) -> list[Row]:
    """The seconds of all processes by activity, largest first, and the slowest cases."""
    spent: dict[str, float] = {}
    for line in run.others:
        if line.get("kind") == "timesheet":
            for name, value in line.items():
                if name.endswith("_s") and isinstance(value, int | float):
                    spent[name] = spent.get(name, 0.0) + value
    # Set-up and yardstick are part of the programs' time.
    known = {TIMES.get(name, name.removesuffix("_s").replace("_", " ")): value for name, value in spent.items()}
    return [
        {"what": name, "seconds": value} for name, value in sorted(known.items(), key=lambda item: -item[1]) if value
    ]


def counts(rows: Sequence[CaseRow]) -> dict[str, int]:
    """The number of cases by verdict, worst first."""
    found: dict[str, int] = {}
    for row in sorted(rows, key=lambda row: row.rank):
        found[row.verdict] = found.get(row.verdict, 0) + 1
    return found


def metric_counts(verdicts: Sequence[Verdict]) -> str:
    """The number of single verdicts by name, as a clause."""
    return ", ".join(f"{count} {name}" for name, count in summarize(verdicts).items())
