"""Decisions about the steps of a bisection, and the choice of the next step."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self, get_args

from perfgate.gate.against_run import compare
from perfgate.gate.dry_run import DRY_RUN
from perfgate.history.bisect.courses import Course
from perfgate.records.launch import Launch
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

GOOD_SHARE = 2 / 3  # of the bad end's change; a step is good only if its change is certainly below this
Name = Literal["good", "bad", "skipped", "unsure"]
TEXTS = ("step", "name", "why", "run")


@dataclass(frozen=True)
class Decision:
    """The decision about one step, compared with the good end.

    Attributes:
        step: the commit or version.
        name: ``good``, ``bad``, ``skipped`` if it does not run, or ``unsure`` if noise leaves it undecided.
        change: the metric's relative change since the good end; above 0 is worse.
        low: lower bound of the change.
        high: upper bound of the change.
        before: the metric's value at the good end.
        after: the metric's value at this step.
        why: a further explanation, as a clause.
        run: the id of the run that decided it.
    """

    step: str
    name: Name
    change: float | None = None
    low: float | None = None
    high: float | None = None
    before: float | None = None
    after: float | None = None
    why: str = ""
    run: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object for the bisection's file."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Read the object that ``to_json`` wrote.

        Raises:
            KeyError: the row has no step, or no decision.
            ValueError: a value is not of the form that ``to_json`` writes.
        """
        known = {key: row[key] for key in cls.__dataclass_fields__ if key in row}
        if row["name"] not in get_args(Name) or not all(isinstance(known.get(key, ""), str) for key in TEXTS):
            raise ValueError(f"{row!r} is no decision")
        if not all(isinstance(value, int | float | None) for key, value in known.items() if key not in TEXTS):
            raise ValueError(f"{row!r} holds something else than numbers")
        return cls(**known)


@dataclass(frozen=True)
class Suspects:
    """The steps that remain between the last good one and the first bad one.

    Attributes:
        last_good: the last step that is known to be good.
        first_bad: the first step that is known to be bad.
        open: the undecided steps; those that halve the rest best come first.
        hidden: the steps before ``first_bad`` that were skipped, or left undecided by noise.
    """

    last_good: str
    first_bad: str
    open: Sequence[str]
    hidden: Sequence[str]

    @property
    def found(self) -> bool:
        """Whether the first bad step is known."""
        return not self.open and not self.hidden


def suspects(course: Course, decided: Iterable[Decision]) -> Suspects:
    """The steps that remain after these decisions, which are in the order in which they were made."""
    by_step = {decision.step: decision.name for decision in decided}
    goods = [course.good, *(step for step, name in by_step.items() if name == "good")]
    bad = ([course.bad] + [step for step, name in by_step.items() if name == "bad"])[-1]
    left = [step for step in course.halving(goods, bad) if step != bad]
    return Suspects(
        goods[-1],
        bad,
        [step for step in left if step not in by_step],
        [step for step in left if step in by_step],
    )


def decide(step: str, verdicts: Iterable[Verdict], name: str, most: float | None = None, run: str = "") -> Decision:
    """Decide a step by the gate's verdict on the followed metric.

    Args:
        step: the commit or version.
        verdicts: the case's verdicts at this step, compared with the good end.
        name: the metric.
        most: the change at the bad end. A step is good only if its change is known to be well below that.
        run: the id of the run.
    """
    verdicts = list(verdicts)
    found = next((verdict for verdict in verdicts if verdict.metric == name), None)
    if name == DRY_RUN and found is None and any(metric(verdict.metric).dry for verdict in verdicts):
        return Decision(step, "good", run=run)  # a successful dry run has no verdict of its own
    if found is None:
        said = next((verdict.why for verdict in verdicts if verdict.verdict != "pass" and verdict.why), "")
        return Decision(step, "skipped", why=said or f"{name} was not measured", run=run)
    told = (found.change, found.low, found.high, found.reference, found.candidate, found.why, run)
    if found.verdict == "regressed":
        return Decision(step, "bad", *told)
    if found.verdict in ("pass", "improved"):
        near = metric(name).noisy and most is not None and (found.high is None or found.high >= GOOD_SHARE * most)
        return Decision(step, "unsure" if near else "good", *told)
    return Decision(step, "unsure" if found.verdict == "inconclusive" else "skipped", *told)


def together(runs: Sequence[RunFile], case: str) -> list[Verdict]:
    """The verdicts on a case from the duets of several runs, as if one run had taken all of them.

    Args:
        runs: runs that compared the same two steps.
        case: the case's id.
    """
    launches: dict[str, list[Launch]] = {"reference": [], "candidate": []}
    for number, run in enumerate(runs):
        for launch in (launch for launch in run.launches if launch.case == case):
            pair = None if launch.pair is None else launch.pair * len(runs) + number  # each run counts its duets from 0
            launches[launch.side].append(replace(launch, pair=pair))
    before, now = ({case: side} for side in launches.values())
    return compare(before, now, runs[-1].tolerances())


def worst(verdicts: Iterable[Verdict], dry: bool) -> list[Verdict]:
    """The regressed verdicts: exact metrics first, and among these the largest change first.

    Args:
        verdicts: the case's verdicts at the bad end.
        dry: whether only metrics of dry runs count.
    """
    worse = [found for found in verdicts if found.verdict == "regressed" and (metric(found.metric).dry or not dry)]
    return sorted(
        worse,
        key=lambda one: (metric(one.metric).noisy, -(math.inf if one.change is None else one.change), one.metric),
    )
