"""Turns a case's verdicts into the outcome of its pytest item: passed, warned, skipped or failed."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from perfgate.gate import acceptance
from perfgate.gate.wording import UNTOLD, WORDS, sentence, telling_first
from perfgate.records.launch import CORE_TAKEN
from perfgate.records.verdict import Name, Verdict

# Beginnings of reasons why a device cannot measure a metric, whatever the program does.
DRY_TELLS_NOT = "a dry run does not measure it"
EMULATED_TELLS_NOT = "an emulated device has no times and no values"
NO_TIMES = "this run takes no times"
NOT_ASKED = (DRY_TELLS_NOT, EMULATED_TELLS_NOT, NO_TIMES)


@dataclass(frozen=True)
class Outcome:
    """The end of a case.

    Attributes:
        kind: ``warned`` is a pass with a warning.
        message: begins with one sentence; empty if there is nothing to say.
        details: the last lines that a failed launch printed; shown separately from the message.
    """

    kind: Literal["passed", "warned", "skipped", "failed"]
    message: str = ""
    details: str = ""


def decide(
    verdicts: Sequence[Verdict],
    *,
    fault: bool,
    strict: bool,
    update: str | None,
    accept: str | None,
    output: str = "",
) -> Outcome:
    """Turn verdicts into an outcome: the worst verdict that was not accepted decides.

    Args:
        verdicts: the verdicts on one case.
        fault: whether the program itself made a launch invalid: a crash, a hang, a loss that is not finite.
        strict: whether a case fails if nothing could be decided.
        update: the update mode of this run, if any; it accepts what it stores.
        accept: the command that measures this case again; options that store its result are added to it. ``None`` if
            nothing can be stored.
        output: the last lines that a failed launch printed.
    """

    def having(name: Name) -> list[Verdict]:
        standing = [verdict for verdict in verdicts if not verdict.accepted and verdict.verdict == name]
        # An effect must keep its promise, and nothing of it is stored.
        return [verdict for verdict in standing if verdict.expected or name not in accepted_by(update)]

    remedy = f"\nAccept it with: {accept} --perf-update all --perf-reason {shlex.quote('WHY')}" if accept else ""
    if worse := telling_first(having("regressed")):
        return Outcome("failed", "\n".join(map(sentence, worse)) + (remedy or acceptance.remedy(worse)))
    if stale := having("stale"):
        return Outcome("failed", f"{stale[0].case}: {stale[0].why}.{remedy}")
    if invalid := having("invalid"):
        told = f"{invalid[0].case} could not be measured: {invalid[0].why}"
        tolerated = not fault and not strict and any(v.verdict in ("pass", "improved") for v in verdicts)
        if tolerated and all(map(not_asked, invalid)):
            return Outcome("passed")
        if tolerated and spoilt_by(invalid, CORE_TAKEN):
            return Outcome("warned", f"{told}; what could be measured {WORDS['pass']} or better", output)
        return Outcome("failed" if fault or strict else "skipped", told, output)
    if strict and (new := having("new")):
        return Outcome("failed", without_baseline(new, accept))
    otherwise = [verdict for verdict in having("new") if verdict.way_since]
    partly = [verdict for verdict in having("pass") + having("improved") if UNTOLD in verdict.why]
    if unsure := having("inconclusive") + otherwise:
        # A baseline with too few sessions becomes decisive by runs that add sessions.
        unwanted = strict and update not in ("more", "all")
        store = f"\nStore it again with: {accept} --perf-update new" if accept and otherwise else ""
        return Outcome("failed" if unwanted else "warned", "\n".join(map(sentence, unsure + partly)) + store)
    if partly:
        return Outcome("failed" if strict else "warned", "\n".join(map(sentence, partly)))
    return Outcome("passed")


def not_asked(verdict: Verdict) -> bool:
    """Whether a metric was left out because this kind of run measures it of no program."""
    return verdict.verdict == "invalid" and verdict.why.startswith(NOT_ASKED)


def spoilt_by(invalid: Sequence[Verdict], *reasons: str) -> bool:
    """Whether the reason of each invalid verdict begins with one of these."""
    return all(verdict.why.startswith(reasons) for verdict in invalid)


def accepted_by(update: str | None) -> frozenset[Name]:
    """The kinds of verdict that do not fail a case, because this update mode stores them as the new baseline."""
    if update is None:
        return frozenset()
    return frozenset({"regressed", "stale", "new"} if update == "all" else {"new"})


def without_baseline(new: Sequence[Verdict], accept: str | None) -> str:
    """Name the metrics for which a case has no baseline, and the command that stores one."""
    names = ", ".join(verdict.metric for verdict in new if not verdict.way_since)
    told = [f"{new[0].case} has no baseline for {names}."] if names else []
    told += [f"{sentence(verdict)}." for verdict in new if verdict.way_since]
    return " ".join([*told, *([f"Store it with: {accept} --perf-update new"] if accept else [])])
