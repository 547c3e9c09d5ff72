"""Whether a case that had a dry run still has one: without it, nothing exact is known of the case any more."""

from collections.abc import Sequence
from dataclasses import replace

from perfgate.gate.wording import REFERENCE_NOT_DRY
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict

DRY_RUN = "dry_run"  # the metric that such a verdict is about
PREFIX = "no dry run: "
NOTHING_TO_COUNT = f"{PREFIX}its program does no work in torch any more"
CHANGED = "the workload changed under its id, so the stored numbers are of something else"


def why_not(launches: Sequence[Launch]) -> str:
    """Why a case has no dry run, as its launch says; empty where it has one or none was tried."""
    return next((launch.invalid for launch in launches if launch.pass_name == "dry" and launch.invalid), None) or ""


def has_dry_run(launches: Sequence[Launch]) -> bool:
    """Whether one of a case's launches is a dry run that went through."""
    return any(launch.pass_name == "dry" and not launch.invalid for launch in launches)


def against_stored(
    case: str, workload: str, reason: str, stored: Baseline | None, alone: bool, since: str = ""
) -> list[Verdict]:
    """The verdict on a case without a dry run: worse than before where exact metrics are stored.

    Args:
        case: its id.
        workload: identity of what was run.
        reason: why there is no dry run.
        stored: the exact metrics that are stored, if any.
        alone: whether the dry run is all that was to be measured.
        since: the versions that the stored ones are of, where they are others.
    """
    if stored is not None and stored.metrics:
        if stored.workload != workload:
            return [Verdict(case, DRY_RUN, "stale", launches=0, why=CHANGED, since=since)]
        lost = reason.startswith(PREFIX)
        return [Verdict(case, DRY_RUN, "regressed" if lost else "inconclusive", launches=0, why=reason, since=since)]
    return [Verdict(case, DRY_RUN, "invalid", launches=0, why=reason)] if alone else []


def against_launches(verdict: Verdict, before: Sequence[Launch], now: Sequence[Launch]) -> Verdict | None:
    """What becomes of an invalid dry run of a candidate: worse than a reference that has one.

    ``None`` where the reference has none either: then the other passes decide, if there are any.
    """
    if has_dry_run(before) and verdict.why.startswith(PREFIX):
        return replace(verdict, verdict="regressed", against="reference")
    return None if any(launch.pass_name != "dry" for launch in now) else verdict


def only_now(case: str, before: Sequence[Launch], now: Sequence[Launch]) -> list[Verdict]:
    """The verdict that says why a candidate's exact metrics are held against nothing; empty where they are.

    Without it they were new as if nobody had ever measured the case.
    """
    reason = why_not(before).removeprefix(PREFIX)
    if not reason or has_dry_run(before) or not has_dry_run(now):
        return []
    return [Verdict(case, DRY_RUN, "new", launches=0, why=f"{REFERENCE_NOT_DRY}: {reason}", against="reference")]
