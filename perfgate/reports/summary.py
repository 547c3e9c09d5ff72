"""Writes the last lines of a run: the number of verdicts, the worst of them, and the commands that help."""

import math
import re
import shlex
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from perfgate.gate.confirmed import MACHINE, UNCONFIRMED
from perfgate.gate.wording import (
    COULD_NOT_TELL,
    REFERENCE_NOT_DRY,
    REFERENCE_UNABLE,
    UNDECIDED,
    UNTOLD,
    can_see,
    counted_as,
    moved,
    promised_and_measured,
    promises,
    sentence,
    summarize,
    telling_first,
)
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

SHOWN = 10
FEW = 3
LEAST = -1 + 1e-9  # the change of a metric that fell to 0, as far as a logarithm can express it


def summary(
    results: Sequence[Mapping[str, Any]], again: str | None, path: str, update: str | None, more: Sequence[str] = ()
) -> list[str]:
    """Lines for the terminal.

    Args:
        results: the results of all cases: ``case``, ``kind`` and ``verdicts``.
        again: the command of this run, to which update options are added; ``None`` if nothing can be stored.
        path: the path of the run file.
        update: the update mode of this run, if any.
        more: further lines, about acceptances and stored baselines.
    """
    verdicts = [Verdict(**verdict) for result in results for verdict in result["verdicts"]]
    counts = ", ".join(f"{count} {name}" for name, count in summarize(verdicts).items())
    cases = f"{len(results)} {'case' if len(results) == 1 else 'cases'}"
    lines = [f"{cases} measured{f', by metric: {counts}' if counts else ''}."]
    named = {name: [verdict for verdict in verdicts if counted_as(verdict) == name] for name in summarize(verdicts)}
    lines += some(by_case(named.get("regressed", ())))
    lines += some(by_case(named.get("improved", ())))
    lines += some(machine_sentence(verdict) for verdict in verdicts if verdict.why.startswith(MACHINE))
    if unsure := [verdict for verdict in named.get("inconclusive", ()) if not verdict.way_since]:
        lines += undecided(unsure, again, update)
    lines += some(unheld(verdicts))
    passed = [verdict for verdict in verdicts if verdict.verdict in ("pass", "improved")]
    lines += some(sentence(verdict) for verdict in passed if UNTOLD in verdict.why)
    lines += measured_otherwise(verdicts, again if not update else None)
    lines += unshown(verdicts)
    if again and update not in ("improved", "all") and any(not stored_elsewhere(v) for v in named.get("improved", ())):
        lines.append(f"To keep what improved: {again} --perf-update improved")
    if again and not update:
        lines += other_versions(verdicts, again)
    if again and named.get("new") and not update:
        lines.append(f"Nothing is stored yet for what is new. Store it with: {again} --perf-update new")
    lines.append(f"Run file: {path}. Report: perfgate report {path}")
    return [*lines, *more, decided(verdicts)] if verdicts else [*lines, *more]


def by_case(verdicts: Sequence[Verdict]) -> list[str]:
    """A line for each case: a sentence on its most informative metric, and the changes of the others."""
    cases: dict[str, list[Verdict]] = {}
    for verdict in promises(verdicts):
        cases.setdefault(verdict.case, []).append(verdict)
    told = map(telling_first, cases.values())
    return [f"{sentence(first)}{f'; also {and_others(others)}' if others else ''}" for first, *others in told]


def and_others(verdicts: Sequence[Verdict]) -> str:
    """The further metrics of a case, each with its change."""
    told = [promised_and_measured(v) if v.expected else moved(v) or v.verdict for v in verdicts]
    return ", ".join(f"{verdict.metric} {words}" for verdict, words in zip(verdicts, told, strict=True))


def machine_sentence(verdict: Verdict) -> str:
    """A sentence on a time that is slower than stored although only the machine changed."""
    return f"{verdict.case}: {verdict.metric}: {verdict.why}"


def other_versions(verdicts: Sequence[Verdict], again: str) -> list[str]:
    """Lines with the command that stores exact metrics for these versions, if cases were held against others."""
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


def measured_otherwise(verdicts: Sequence[Verdict], again: str | None) -> list[str]:
    """A line for metrics that are measured differently than when they were stored, with the command that helps.

    Metrics of the same cases share a line.
    """
    cases: dict[tuple[str, str], set[str]] = {}
    for verdict in verdicts:
        if verdict.way_since:
            cases.setdefault((verdict.metric, verdict.way_since), set()).add(verdict.case)
    alike: dict[tuple[str, frozenset[str]], list[str]] = {}
    for (name, since), found in cases.items():
        alike.setdefault((since, frozenset(found)), []).append(name)
    store = f" Store it again with: {again} --perf-update new" if again else ""
    return [
        f"Perfgate measures {listed(names)} differently since version {since}, so what is stored of "
        f"{len(found)} {'case' if len(found) == 1 else 'cases'} was not compared.{store}"
        for (since, found), names in alike.items()
    ]


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: ``a``, ``a and b``, or ``a, b and c``."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def unheld(verdicts: Sequence[Verdict]) -> list[str]:
    """A sentence for each reason why the reference could not run cases, so that nothing of them was judged."""
    cases: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts:
        begin, _, why = verdict.why.partition(": ")
        if begin in (REFERENCE_UNABLE, REFERENCE_NOT_DRY):
            cases.setdefault((begin, why), []).append(verdict.case)
    return [
        f"{'Exact metrics not judged' if begin == REFERENCE_NOT_DRY else 'Not judged'}, as "
        f"{begin if len(found) == 1 else begin.replace(' it', ' them')}: {found[0]}"
        f"{f' and {len(found) - 1} more' if len(found) > 1 else ''} ({why})"
        for (begin, why), found in cases.items()
    ]


def stored_elsewhere(verdict: Verdict) -> bool:
    """Whether its reference is stored only for other library versions."""
    return bool(verdict.since) and metric(verdict.metric).portable


def decided(verdicts: Sequence[Verdict]) -> str:
    """A sentence with the number of decided verdicts, and of each kind of undecided ones."""
    counts = summarize(verdicts)
    left = {name: counts[name] for name in sorted(UNDECIDED) if name in counts}
    if not left:
        return f"Decided: all {len(verdicts)}."
    told = ", ".join(f"{count} {name}" for name, count in left.items())
    return f"Decided: {len(verdicts) - sum(left.values())} of {len(verdicts)}; not decided: {told}."


def other_machines(here: str, kind: str, holders: Mapping[str, tuple[str, int]], again: str) -> str:
    """A sentence about other machines that have baselines of cases that are new here.

    Args:
        here: this machine's name.
        kind: the kind of its device.
        holders: these machines, the likeliest first, each with its kind of device and the number of these cases.
        again: the command of this run.
    """
    name, (other, count) = next(iter(holders.items()))
    others = f" (others: {', '.join(list(holders)[1:])})" if len(holders) > 1 else ""
    which = f"{count} {'case' if count == 1 else 'cases'} of which {name} has baselines{others}"
    renamed = f"If it is the same machine under a new name: perfgate baselines move {name} {here}"
    meant = f"If that device was meant: {again} --perf-device {other}"
    return (
        f"Nothing is stored for this machine, {here}, of {which}. {renamed if other == kind else meant}; if not: "
        f"{again} --perf-update new"
    )


# Other reasons, such as a case newer than the reference or a program without a dry run, do not count.
CRASHED = re.compile(rf"{REFERENCE_UNABLE}: crash|{REFERENCE_NOT_DRY}: \w+(Error|Exception)\b")


def problem_of(
    results: Sequence[Mapping[str, Any]], ran: int, asked: bool, update: str | None, holders: Collection[str]
) -> str:
    """The reason why a run in which no case failed must not count as passed; empty if it may.

    Args:
        results: the results of all cases that were measured.
        ran: the number of cases that ran.
        asked: whether any of them asked for a measurement.
        update: the update mode of this run, if any. A run that stores baselines may leave everything undecided.
        holders: other machines with baselines of cases that are new here. The first run on the first machine may leave
            everything new.
    """
    names = [{counted_as(Verdict(**verdict)) for verdict in result["verdicts"]} for result in results]
    if ran and not results and not asked:
        return f"{ran} {'case' if ran == 1 else 'cases'} ran and none of them called perf(), so nothing was measured"
    if (ran and not results) or (results and all(found == {"invalid"} for found in names)):
        return "no case could be measured; see the reasons above"
    every = set().union(*names)
    if every and every <= COULD_NOT_TELL and not update:
        return "nothing was decided: every verdict is inconclusive or invalid; see the reasons above"
    whys = [[verdict["why"] for verdict in result["verdicts"]] for result in results]
    if results and every <= UNDECIDED and all(any(map(CRASHED.match, own)) for own in whys):
        return "nothing was decided: the reference crashes in all of these cases; see above"
    if holders and every <= UNDECIDED:
        return f"nothing was decided: what this machine lacks is stored for {', '.join(holders)}; see above"
    return ""


def undecided(verdicts: Sequence[Verdict], again: str | None, update: str | None) -> list[str]:
    """Lines about the inconclusive verdicts, grouped by reason."""
    missed = Counter(verdict.why.partition(UNCONFIRMED)[2] for verdict in verdicts)
    lines = [f"{count} {UNCONFIRMED}{reason}" for reason, count in missed.items() if reason]
    young = [verdict for verdict in verdicts if verdict.why.startswith("baseline too young")]
    if young:
        lines.append(f"{len(young)} inconclusive: {young[0].why.partition(f'; {UNCONFIRMED}')[0]}.")
        if again and not update:  # a run that stores baselines says itself what is missing
            lines.append(f"Add this machine's next session with: {again} --perf-update more")
    blind = [verdict for verdict in verdicts if verdict not in young and verdict.smallest_detectable is None]
    lines += some(map(sentence, blind))
    seen = sorted(verdict.smallest_detectable for verdict in verdicts if verdict.smallest_detectable is not None)
    if seen:
        lines.append(f"{len(seen)} inconclusive: launches vary too much here to tell; {could_see(seen)}.")
    return lines


def could_see(smallest: Sequence[float]) -> str:
    """A clause on the changes that undecided verdicts could have shown; ``smallest`` is in ascending order."""
    if len(smallest) == 1:
        return f"the smallest change that would have been seen: {can_see(smallest[0])}"
    low, middle, high = map(can_see, (smallest[0], smallest[len(smallest) // 2], smallest[-1]))
    return f"the smallest change that would have been seen: {low} to {high}, by case, half of them {middle} or less"


def unshown(verdicts: Sequence[Verdict]) -> list[str]:
    """Lines on the largest measured changes without a verdict of their own, because they are uncertain."""
    quiet = [verdict for verdict in verdicts if verdict.verdict in ("pass", "inconclusive") and not verdict.expected]
    large = [verdict for verdict in quiet if verdict.change is not None and far(verdict.change, verdict.tolerance)]
    better = sorted((v for v in large if (v.change or 0) < 0), key=lambda v: v.change or 0)
    worse = sorted((v for v in large if (v.change or 0) > 0), key=lambda v: -(v.change or 0))
    return [
        f"Looks {word}, not shown: {most(found)}." for word, found in (("better", better), ("worse", worse)) if found
    ]


def far(change: float, tolerance: float | None) -> bool:
    """Whether a change is larger than the tolerance, in either direction."""
    return tolerance is not None and abs(math.log1p(max(change, LEAST))) > math.log1p(tolerance)


def most(verdicts: Sequence[Verdict]) -> str:
    """The first few verdicts by case, metric and change, and the number of the others."""
    told = [f"{verdict.case}: {verdict.metric} {moved(verdict)}" for verdict in verdicts[:FEW]]
    return ", ".join(told) + (f" and {len(verdicts) - FEW} more" if len(verdicts) > FEW else "")


def some(lines: Iterable[str]) -> list[str]:
    """The first lines, and a last line with the number of the others."""
    found = list(lines)
    more = len(found) - SHOWN
    return [*found[:SHOWN], *([f"... and {more} more, in the report"] if more > 0 else [])]
