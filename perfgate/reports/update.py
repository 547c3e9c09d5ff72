"""The line about stored baselines, which also says what was not stored."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from perfgate.gate.verdicts import MIN_BASELINE_LAUNCHES, MIN_BASELINE_SESSIONS
from perfgate.gate.wording import many

if TYPE_CHECKING:  # its module imports everything that measures
    from perfgate.cases.update import Update

NAMED = 3  # the most cases to name for one reason; the others are counted
REASONS = 8  # the most reasons to name


def update_line(update: "Update", again: str) -> str:
    """A line on what was stored, what was not stored and why, and what is missing until times are gated.

    Args:
        update: the result of storing baselines.
        again: the command of this run without its update options.
    """
    total = len(update.stored) + len(update.left)
    stored = f"{len(update.stored)} of {many(total, 'case')}" if update.stored else f"nothing of {many(total, 'case')}"
    return " ".join(filter(None, [f"Stored: {stored}.", left_out(update.left), missing(update.young, again)]))


def left_out(left: Mapping[str, str]) -> str:
    """A sentence on the cases of which nothing was stored, by reason, those with most cases first."""
    reasons: dict[str, list[str]] = {}
    for case, why in left.items():
        reasons.setdefault(re.sub(rf"\S*{re.escape(case)} ", "", why), []).append(case)  # its name is told before it
    ranked = sorted(reasons.items(), key=lambda item: -len(item[1]))
    told = [f"{named(found)} ({why})" for why, found in ranked[:REASONS]]
    if more := sum(len(found) for _, found in ranked[REASONS:]):
        told.append(f"and {many(more, 'more case')}, whose reasons the report has")
    return f"Not stored: {'; '.join(told)}." if told else ""


def named(found: Sequence[str]) -> str:
    """The first cases by name, and the number of the others."""
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


def missing(young: Mapping[str, tuple[int, int]], again: str) -> str:
    """A sentence on what is missing until the times of all cases are gated, with the command that adds it."""
    if not young:
        return ""
    launches, sessions = min(young.values(), key=lambda each: (each[1], each[0]))
    have = f"{launches} {'launch' if launches == 1 else 'launches'} from {many(sessions, 'session')}"
    return (
        f"Not gated yet: the times of {many(len(young), 'case')}, which need {MIN_BASELINE_LAUNCHES} launches from "
        f"{MIN_BASELINE_SESSIONS} sessions and have {have}; add a session later with: {again} --perf-update more"
    )
