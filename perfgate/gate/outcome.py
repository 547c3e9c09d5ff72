"""From a case's verdicts to what pytest is told, in sentences for people."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from perfgate.records.launch import CORE_TAKEN
from perfgate.records.metrics import metric
from perfgate.records.verdict import Verdict


@dataclass(frozen=True)
class Outcome:
    """How a case ends.

    Attributes:
        kind: ``warned`` is passed, with something to know.
        message: one sentence first; empty where there is nothing to say.
    """

    kind: Literal["passed", "warned", "skipped", "failed"]
    message: str = ""


def decide(
    verdicts: Sequence[Verdict],
    *,
    fault: bool,
    strict: bool,
    update: str | None,
    accept: str | None,
    output: str = "",
) -> Outcome:
    """Turn verdicts into an outcome.

    Args:
        verdicts: of one case.
        fault: whether an invalid launch was the program's doing: a crash, a hang, a loss that is not finite.
        strict: fail where one could not tell.
        update: the update mode of this run, if any.
        accept: the command that measures this case again; options to accept its result are added to it. ``None`` where
            nothing can be stored.
        output: the end of what a failed launch printed.
    """
    accepted = {"all": {"regressed", "stale", "new"}, None: set[str]()}.get(update, {"new"})
    found = {verdict.verdict: verdict for verdict in reversed(verdicts) if verdict.verdict not in accepted}
    remedy = f"\nAccept it with: {accept} --perf-update all --perf-reason {shlex.quote('WHY')}" if accept else ""
    worse = [verdict for verdict in verdicts if verdict.verdict == "regressed" and "regressed" in found]
    if worse:
        return Outcome("failed", "\n".join(map(sentence, worse)) + remedy)
    if stale := found.get("stale"):
        return Outcome("failed", f"{stale.case}: {stale.why}.{remedy}")
    if invalid := found.get("invalid"):
        text = f"{invalid.case} could not be measured: {invalid.why}"
        text = f"{text}\n{output}" if output else text
        if not fault and not strict and only_disturbed(verdicts):
            return Outcome("warned", f"{text}; what could be measured {WORDS['pass']} or better")
        return Outcome("failed" if fault or strict else "skipped", text)
    unsure = [verdict for verdict in verdicts if verdict.verdict == "inconclusive"]
    fresh = [verdict for verdict in verdicts if verdict.verdict == "new" and "new" in found]
    if strict and fresh:
        names = ", ".join(verdict.metric for verdict in fresh)
        store = f" Store it with: {accept} --perf-update new" if accept else ""
        return Outcome("failed", f"{fresh[0].case} has no baseline for {names}.{store}")
    if unsure:
        return Outcome("failed" if strict else "warned", "\n".join(map(sentence, unsure)))
    return Outcome("passed")


def only_disturbed(verdicts: Sequence[Verdict]) -> bool:
    """Whether other processes spoilt the times alone, and something else was decided that can stand for the case."""
    invalid = [verdict for verdict in verdicts if verdict.verdict == "invalid"]
    decided = any(verdict.verdict in ("pass", "improved") for verdict in verdicts)
    return decided and all(verdict.why.startswith(CORE_TAKEN) for verdict in invalid)


def sentence(verdict: Verdict) -> str:
    """One metric's verdict, in words."""
    if verdict.expected:
        return effect_sentence(verdict)
    word = WORDS[verdict.verdict]
    if verdict.reference == 0 and verdict.verdict == "regressed":
        word = word.removesuffix(" by")
    text = " ".join(filter(None, [f"{verdict.case}: {verdict.metric} {word}", moved(verdict)]))
    details = "; ".join(filter(None, [both_values(verdict), interval(verdict), verdict.why]))
    return f"{text} ({details})" if details else text


def effect_sentence(verdict: Verdict) -> str:
    """What a setting does to a metric, and what was expected of it."""
    text = f"{verdict.case}: {verdict.metric} {WORDS[verdict.verdict] if verdict.change is None else ''}".rstrip()
    if verdict.change is None and verdict.verdict in ("pass", "regressed"):
        return f"{verdict.case}: {verdict.metric}: {verdict.why}, expected {verdict.expected}"
    if verdict.change is not None:
        undecided = "may be" if verdict.verdict == "inconclusive" else "is"
        text = f"{text} {undecided} {times(verdict.change)} {verdict.against}'s"
    bounds = ""
    if verdict.low is not None and verdict.high is not None and verdict.low != verdict.high:
        bounds = f"interval {times(verdict.low)} to {times(verdict.high)}"
    details = "; ".join(filter(None, [both_values(verdict), bounds, verdict.why]))
    return f"{text}, expected {verdict.expected}{f' ({details})' if details else ''}"


def times(change: float) -> str:
    """A relative change as a factor."""
    return f"{1 + change:.3g}x"


def both_values(verdict: Verdict) -> str:
    """What was measured, and what it is held against."""
    if verdict.candidate is None or verdict.reference is None:
        return ""
    what = metric(verdict.metric)
    return f"{what.show(verdict.candidate)}, {verdict.against} {what.show(verdict.reference)}"


WORDS = {
    "pass": "is as before",
    "regressed": "got worse by",
    "improved": "got better,",
    "inconclusive": "is undecided",
    "invalid": "is invalid",
    "new": "is new",
    "stale": "is stale",
}


def moved(verdict: Verdict) -> str:
    """By how much, in percent; what was 0 has no such number."""
    if verdict.change is None or verdict.reference == 0:
        return ""
    return percent(verdict.change)


def interval(verdict: Verdict) -> str:
    """The interval, the tolerance and the smallest change that could have been shown."""
    if verdict.tolerance is None or verdict.smallest_detectable is None:
        return ""
    if verdict.low is None or verdict.high is None or verdict.low == verdict.high:
        return f"tolerance {verdict.tolerance:.1%}"
    return f"interval {percent(verdict.low)} to {percent(verdict.high)}; {sight(verdict)}"


def sight(verdict: Verdict) -> str:
    """What this measurement could have seen, held against what is tolerated."""
    if verdict.smallest_detectable is None or verdict.tolerance is None:
        return ""
    if verdict.smallest_detectable > verdict.tolerance:
        return (
            f"this gate cannot see {verdict.tolerance:.1%} here; it can see {percent(verdict.smallest_detectable, '')}"
        )
    return f"this gate can see {percent(verdict.smallest_detectable, '')}"


def percent(change: float, sign: str = "+") -> str:
    """A relative change, with enough digits and no more."""
    if change > 9.995:
        return f"{change + 1:.0f}-fold" if change < 1e6 else "beyond measure"
    return f"{change:{sign}.1%}" if abs(change) >= 0.0095 else f"{change:{sign}.2%}"
