"""The report of ``perfgate bisect``: the first bad step, its change, and the decisions on the way."""

from typing import Any

import pandas as pd

from perfgate.gate.wording import percent
from perfgate.history.bisect.courses import Course
from perfgate.history.bisect.decisions import Decision, Suspects
from perfgate.history.bisect.state import State
from perfgate.reports.report import Report, Section
from perfgate.reports.tables import shown


def bisect_report(course: Course, state: State, left: Suspects, stopped: str) -> Report:
    """The report of a bisection.

    Args:
        course: the steps from good to bad.
        state: the decisions.
        left: the steps that remain between the last good one and the first bad one.
        stopped: why it ended early; empty if it did not.
    """
    lines = answer(course, state, left, stopped)
    decided = [*state.decided, *([state.end] if state.end else [])]
    rows = [row(course, state.metric, one) for one in decided]
    case = str(state.question["case"])
    notes = [f"What was decided is kept in {state.path}, and what pytest said in {state.path.with_suffix('.log')}."]
    if state.others:
        notes.insert(0, f"Between the ends {', '.join(state.others)} got worse, too; --metric follows another one.")
    tables = {f"Held against {course.short(course.good)}": pd.DataFrame(rows)} if rows else {}
    steps = [one.to_json() for one in decided]
    document = {
        "case": case,
        "metric": state.metric,
        "found": left.found,
        "first_bad": left.first_bad,
        "last_good": left.last_good,
        "between": [*left.open, *left.hidden, left.first_bad],
        "change": state.change.to_json() if state.change and left.found else None,
        "stopped": stopped,
        "decided": steps,
    }
    title = f"Bisect: {case}{f', {state.metric}' if state.metric else ''}"
    return Report([Section(title, lines, tables, notes)], pd.DataFrame(steps), document)


def answer(course: Course, state: State, left: Suspects, stopped: str) -> list[str]:
    """The first bad step and its change, or the range that contains it and the reason why no more is known."""
    if left.found and state.change:
        told = [f"{step(course, left.first_bad)} is the first {course.noun} that is worse.", moved(state, state.change)]
        return told + ([f"{state.change.why}."] if state.change.why else [])
    if state.end is None:
        return [f"Nothing is known yet, as {stopped}."]
    between = [*left.open, *left.hidden, left.first_bad]
    count = f"one of {len(between)} {course.noun}s" if len(between) > 1 else f"the {course.noun}"
    lines = [
        f"It got worse with {count} after {step(course, left.last_good)} and up to {step(course, left.first_bad)}."
    ]
    if stopped:
        lines.append(f"No more is known, as {stopped}; the same command goes on from here.")
    by_step = {one.step: one for one in state.decided}
    for hidden in (by_step[name] for name in left.hidden):
        why = "noise leaves it open" if hidden.name == "unsure" else f"it does not run: {hidden.why}"
        lines.append(f"{step(course, hidden.step)}: {why}.")
    return lines


def step(course: Course, name: str) -> str:
    """A step with its description."""
    about = course.about(name)
    return f"{course.short(name)}{f' ({about})' if about else ''}"


def moved(state: State, change: Decision) -> str:
    """The change of the metric at the first bad step, with its interval."""
    if change.name != "bad":
        return f"Alone, held against the step before, {state.metric} is {change.name}: its change is spread over more."
    values = f"{shown(state.metric, change.before)} to {shown(state.metric, change.after)}"
    by = f", {percent(change.change)}" if change.change is not None else ""
    return f"{state.metric} went from {values}{by}{interval(change)}."


def interval(decision: Decision) -> str:
    """The interval of a change; empty for an exact change."""
    if decision.low is None or decision.high is None or decision.low == decision.high:
        return ""
    return f" (interval {percent(decision.low)} to {percent(decision.high)})"


def row(course: Course, name: str, one: Decision) -> dict[str, Any]:
    """The row of one decision, for people."""
    return {
        course.noun: step(course, one.step),
        "is": one.name,
        name: shown(name, one.after) if one.after is not None else None,
        "change": percent(one.change) if one.change is not None else None,
        "interval": interval(one).removeprefix(" (interval ").removesuffix(")") or None,
        "why": one.why or None,
    }
