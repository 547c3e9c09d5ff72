"""Verdicts on a lost dry run: without a dry run, nothing exact is known of the case any more."""

from collections.abc import Sequence
from dataclasses import replace

from perfgate.gate.wording import REFERENCE_NOT_DRY
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict

DRY_RUN = "dry_run"  # the metric's name in such a verdict
PREFIX = "no dry run: "
NOTHING_TO_COUNT = f"{PREFIX}its program does no work in torch any more"
CHANGED = "the workload changed under its id, so the stored numbers are of something else"


def why_not(launches: Sequence[Launch]) -> str:
    """The reason why a case has no dry run; empty if it has one or none was tried."""
    return next((launch.invalid for launch in launches if launch.pass_name == "dry" and launch.invalid), None) or ""


def has_dry_run(launches: Sequence[Launch]) -> bool:
    """Whether one of a case's launches is a successful dry run."""
    return any(launch.pass_name == "dry" and not launch.invalid for launch in launches)


def against_stored(
    case: str, workload: str, reason: str, stored: Baseline | None, alone: bool, since: str = ""
) -> list[Verdict]:
    """The verdict on a case without a dry run: a regression if exact metrics are stored.

    Args:
        case: its id.
        workload: the identity of its workload.
        reason: why there is no dry run.
        stored: the exact metrics that are stored, if any.
        alone: whether nothing but a dry run was to be measured.
        since: the library versions of the stored metrics, if they are others.
    """
    if stored is not None and stored.metrics:
        if stored.workload != workload:
            return [Verdict(case, DRY_RUN, "stale", launches=0, why=CHANGED, since=since)]
        lost = reason.startswith(PREFIX)
        return [Verdict(case, DRY_RUN, "regressed" if lost else "inconclusive", launches=0, why=reason, since=since)]
    return [Verdict(case, DRY_RUN, "invalid", launches=0, why=reason)] if alone else []


def against_launches(verdict: Verdict, before: Sequence[Launch], now: Sequence[Launch]) -> Verdict | None:
    """The verdict on a candidate's failed dry run: a regression if the reference has one.

    ``None`` if the reference has none either and other passes can decide.
    """
    if has_dry_run(before) and verdict.why.startswith(PREFIX):
        return replace(verdict, verdict="regressed", against="reference")
    return None if any(launch.pass_name != "dry" for launch in now) else verdict


def only_now(case: str, before: Sequence[Launch], now: Sequence[Launch]) -> list[Verdict]:
    """A verdict with the reason why the candidate's exact metrics have no counterpart; empty if they have one.

    Without this verdict they would look like metrics of a case that is new.
    """
    reason = why_not(before).removeprefix(PREFIX)
    if not reason or has_dry_run(before) or not has_dry_run(now):
        return []
    return [Verdict(case, DRY_RUN, "new", launches=0, why=f"{REFERENCE_NOT_DRY}: {reason}", against="reference")]
