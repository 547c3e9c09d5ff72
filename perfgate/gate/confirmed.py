"""Replaces a verdict on a stored time: by that of duets, by "nothing changed", or not at all.

A stored time depends on the machine as well as on the code. The state that a baseline comes from can be run again,
beside the code under test, and then the machine cancels.
"""

from collections.abc import Sequence
from dataclasses import replace

from perfgate.gate.alpha_budget import AlphaBudget
from perfgate.gate.wording import percent
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

STORED_SHARE = 0.5  # the part of alpha for stored times that duets cannot decide; duets have the rest
MACHINE = "the machine, not the code: "
SAME = "code, lock files, packages, Python, environment variables and model files are as they were"
UNCONFIRMED = "not confirmed by duets: "


def shared(budget: AlphaBudget) -> AlphaBudget:
    """The part of a budget that is left for duets if stored times may spend ``STORED_SHARE`` of it."""
    return replace(budget, alpha=budget.alpha * (1 - STORED_SHARE))


def wanted(verdicts: Sequence[Verdict], gpu: bool) -> list[str]:
    """The times of a case that duets must decide: the inconclusive ones, and on a CPU also the regressed ones.

    Args:
        verdicts: the verdicts from stored times.
        gpu: whether the device is one; its times repeat themselves well enough for a stored time to fail a case.
    """
    names = ("inconclusive",) if gpu else ("inconclusive", "regressed")
    return [
        verdict.metric
        for verdict in verdicts
        if verdict.verdict in names and metric(verdict.metric).noisy and verdict.candidate is not None
    ]


def by_duets(stored: Verdict, found: Verdict, commit: str) -> Verdict:
    """The verdict of duets against the code of the baseline's commit, with the stored times' verdict in its reason.

    Args:
        stored: the verdict from stored times.
        found: the verdict from duets.
        commit: the baseline's commit.
    """
    said = f"the stored times alone: {looked(stored)}"
    return replace(found, why="; ".join(filter(None, [found.why, f"beside the baseline's state {commit[:12]}", said])))


def unchanged(stored: Verdict, commit: str) -> Verdict:
    """A pass: nothing that the time depends on changed since the baseline, so only the machine did."""
    if stored.verdict == "regressed":
        why = f"{MACHINE}the stored times say {looked(stored)}, and {SAME} in the baseline's commit {commit[:12]}"
    else:
        why = f"{SAME} in the baseline's commit {commit[:12]}; {stored.why}".removesuffix("; ")
    return replace(stored, verdict="pass", low=None, high=None, smallest_detectable=None, why=why)


def undecided(stored: Verdict, why: str) -> Verdict:
    """The verdict if duets were possible and did not take place: without them, no stored time fails the case."""
    said = f"the stored times alone: {looked(stored)}" if stored.verdict == "regressed" else stored.why
    return replace(stored, verdict="inconclusive", why="; ".join(filter(None, [said, f"{UNCONFIRMED}{why}"])))


def alone(stored: Verdict, why: str) -> Verdict:
    """The stored verdict, which stands because duets cannot run, with that reason."""
    return replace(stored, why="; ".join(filter(None, [stored.why, f"{UNCONFIRMED}{why}"])))


def looked(verdict: Verdict) -> str:
    """A verdict in two words, such as ``+20.1% (regressed)``."""
    return f"{percent(verdict.change)} ({verdict.verdict})" if verdict.change is not None else verdict.verdict
