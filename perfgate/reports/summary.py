"""The last lines of a run: the number of verdicts, the worst of them, and the commands that help."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfgate.gate.wording import percent, sentence, summarize
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

SHOWN = 10
UNDECIDED = ("inconclusive", "invalid")


def summary(
    results: Sequence[Mapping[str, Any]], again: str | None, path: str, update: str | None, stored: str = ""
) -> list[str]:
    """Lines for the terminal.

    Args:
        results: of all cases: ``case``, ``kind`` and ``verdicts``.
        again: the command of this run, to which update options are added; ``None`` where nothing can be stored.
        path: of the run file.
        update: the update mode of this run, if any.
        stored: the line on what was stored, if anything was to be.
    """
    verdicts = [Verdict(**verdict) for result in results for verdict in result["verdicts"]]
    counts = ", ".join(f"{count} {name}" for name, count in summarize(verdicts).items())
    cases = f"{len(results)} {'case' if len(results) == 1 else 'cases'}"
    lines = [f"{cases} measured{f', by metric: {counts}' if counts else ''}."]
    named = {name: [verdict for verdict in verdicts if verdict.verdict == name] for name in summarize(verdicts)}
    lines += some(sentence(verdict) for verdict in (*named.get("regressed", ()), *named.get("improved", ())))
    if unsure := named.get("inconclusive"):
        lines += undecided(unsure, again, update)
    if again and update not in ("improved", "all") and any(not stored_elsewhere(v) for v in named.get("improved", ())):
        lines.append(f"To keep what improved: {again} --perf-update improved")
    if again and not update:
        lines += other_versions(verdicts, again)
    if again and named.get("new") and not update:
        lines.append(f"Nothing is stored yet for what is new. Store it with: {again} --perf-update new")
    lines.append(f"Run file: {path}. Report: perfgate report {path}")
    lines += [stored] if stored else []
    return [*lines, decided(verdicts)] if verdicts else lines


def other_versions(verdicts: Sequence[Verdict], again: str) -> list[str]:
    """How to store exact metrics for these versions, where cases were held against those of others."""
    held = [verdict for verdict in verdicts if stored_elsewhere(verdict)]
    if not held:
        return []
    cases = len({verdict.case for verdict in held})
    versions = " or of ".join(sorted({verdict.since for verdict in held}))
    lines = [
        f"No exact metrics of these versions are stored for {cases} {'case' if cases == 1 else 'cases'}, which "
        f"{'was' if cases == 1 else 'were'} held against those of {versions}. Store what did not get worse with: "
        f"{again} --perf-update new"
    ]
    if any(verdict.verdict in ("regressed", "stale") for verdict in held):
        why = shlex.quote(f"upgrade from {versions}")
        lines.append(f"Accept all that got worse with: {again} --perf-update all --perf-reason {why}")
    return lines


def stored_elsewhere(verdict: Verdict) -> bool:
    """Whether what it is held against is stored for other versions alone."""
    return bool(verdict.since) and metric(verdict.metric).portable


def decided(verdicts: Sequence[Verdict]) -> str:
    """How many verdicts were decided, and how many not, by name."""
    counts = summarize(verdicts)
    left = {name: counts[name] for name in UNDECIDED if name in counts}
    if not left:
        return f"Decided: all {len(verdicts)}."
    told = ", ".join(f"{count} {name}" for name, count in left.items())
    return f"Decided: {len(verdicts) - sum(left.values())} of {len(verdicts)}; not decided: {told}."


def problem_of(results: Sequence[Mapping[str, Any]], ran: int, asked: bool, update: str | None) -> str:
    """Why a run must not look like a pass although no case failed; empty where it may.

    Args:
        results: of all cases that were measured.
        ran: how many cases ran.
        asked: whether any of them asked for a measurement.
        update: the update mode of this run, if any; storing what is undecided is what such a run is for.
    """
    names = [{verdict["verdict"] for verdict in result["verdicts"]} for result in results]
    if ran and not results and not asked:
        return f"{ran} {'case' if ran == 1 else 'cases'} ran and none of them called perf(), so nothing was measured"
    if (ran and not results) or (results and all(found == {"invalid"} for found in names)):
        return "no case could be measured; see the reasons above"
    every = set().union(*names)
    if every and every <= set(UNDECIDED) and not update:
        return "nothing was decided: every verdict is inconclusive or invalid; see the reasons above"
    return ""


def undecided(verdicts: Sequence[Verdict], again: str | None, update: str | None) -> list[str]:
    """The inconclusive verdicts, grouped by reason."""
    young = [verdict for verdict in verdicts if verdict.why.startswith("baseline too young")]
    lines = []
    if young:
        lines.append(f"{len(young)} inconclusive: {young[0].why}.")
        if again and not update:  # a run that stores says itself what is missing
            lines.append(f"Add this machine's next session with: {again} --perf-update more")
    blind = [verdict for verdict in verdicts if verdict not in young and verdict.smallest_detectable is None]
    lines += some(map(sentence, blind))
    seen = [verdict.smallest_detectable for verdict in verdicts if verdict.smallest_detectable is not None]
    if seen:
        low, middle, high = (percent(value, "") for value in (min(seen), sorted(seen)[len(seen) // 2], max(seen)))
        could = (
            f"a change of {low}"
            if len(seen) == 1
            else f"changes of {low} to {high}, by case, half of them of {middle},"
        )
        lines.append(f"{len(seen)} inconclusive: launches vary too much here to tell; {could} would have been seen.")
    return lines


def some(lines: Iterable[str]) -> list[str]:
    """The first lines, and how many more there are."""
    found = list(lines)
    more = len(found) - SHOWN
    return [*found[:SHOWN], *([f"... and {more} more, in the report"] if more > 0 else [])]
