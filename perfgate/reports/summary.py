"""Writes the last lines of a run: the number of verdicts, the worst of them, and the commands that help."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from perfgate.gate.wording import percent, sentence, summarize
from perfgate.records.verdict import Verdict

SHOWN = 10
UNDECIDED = ("inconclusive", "invalid")


def summary(
    results: Sequence[Mapping[str, Any]], again: str | None, path: str, update: str | None, stored: str = ""
) -> list[str]:
    """Lines for the terminal.

    Args:
        results: the results of all cases: ``case``, ``kind`` and ``verdicts``.
        again: the command of this run, to which update options are added; ``None`` if nothing can be stored.
        path: the path of the run file.
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
    if again and named.get("improved") and update not in ("improved", "all"):
        lines.append(f"To keep what improved: {again} --perf-update improved")
    if again and named.get("new") and not update:
        lines.append(f"Nothing is stored yet for what is new. Store it with: {again} --perf-update new")
    lines.append(f"Run file: {path}. Report: perfgate report {path}")
    lines += [stored] if stored else []
    return [*lines, decided(verdicts)] if verdicts else lines


def decided(verdicts: Sequence[Verdict]) -> str:
    """A sentence about how many verdicts were decided, and how many of each kind were not."""
    counts = summarize(verdicts)
    left = {name: counts[name] for name in UNDECIDED if name in counts}
    if not left:
        return f"Decided: all {len(verdicts)}."
    told = ", ".join(f"{count} {name}" for name, count in left.items())
    return f"Decided: {len(verdicts) - sum(left.values())} of {len(verdicts)}; not decided: {told}."


def problem_of(results: Sequence[Mapping[str, Any]], ran: int, asked: bool, update: str | None) -> str:
    """The reason why a run in which no case failed must not count as passed; empty if it may.

    Args:
        results: the results of all cases that were measured.
        ran: number of cases that ran.
        asked: whether any of them asked for a measurement.
        update: the update mode of this run, if any. A run that stores baselines may leave everything undecided.
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
    """Lines about the inconclusive verdicts, grouped by reason."""
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
    """The first lines, and a last line that says how many more there are."""
    found = list(lines)
    more = len(found) - SHOWN
    return [*found[:SHOWN], *([f"... and {more} more, in the report"] if more > 0 else [])]
