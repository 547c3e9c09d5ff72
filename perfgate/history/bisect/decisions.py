"""Decisions: what is known of each step of a bisection, and which step comes next."""

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

GOOD_SHARE = 2 / 3  # of the bad end's change; the gate calls a step bad above a third of the tolerance
Name = Literal["good", "bad", "skipped", "unsure"]
TEXTS = ("step", "name", "why", "run")


@dataclass(frozen=True)
class Decision:
    """What is known of one step, held against the good end.

    Attributes:
        step: commit or version.
        name: ``skipped`` where it does not run, ``unsure`` where noise leaves it open.
        change: of the metric since the good end, relative; above 0 is worse.
        low: lower bound of the change.
        high: upper bound of the change.
        before: the metric at the good end.
        after: the metric at this step.
        why: a further explanation, as a clause.
        run: id of the run that decided it.
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
        """For the file of the bisection."""
        return asdict(self)

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            KeyError: the row names no step, or no decision.
            ValueError: a value is none that ``to_json`` writes.
        """
        known = {key: row[key] for key in cls.__dataclass_fields__ if key in row}
        if row["name"] not in get_args(Name) or not all(isinstance(known.get(key, ""), str) for key in TEXTS):
            raise ValueError(f"{row!r} is no decision")
        if not all(isinstance(value, int | float | None) for key, value in known.items() if key not in TEXTS):
            raise ValueError(f"{row!r} holds something else than numbers")
        return cls(**known)


@dataclass(frozen=True)
class Suspects:
    """What is left between the last good step and the first bad one.

    Attributes:
        last_good: the last step that is known to be good.
        first_bad: the first step that is known to be bad.
        open: the steps that are not decided, those first that halve the rest best.
        hidden: the steps before ``first_bad`` that were skipped, or left open by noise.
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
    """What is left after some decisions, in the order in which they were made."""
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
    """Decide a step by the gate's verdict on the metric that is followed.

    Args:
        step: commit or version.
        verdicts: of the case at this step, held against the good end.
        name: of the metric.
        most: the change at the bad end. A step is good only if its change is known to be well below that.
        run: id of the run.
    """
    verdicts = list(verdicts)
    found = next((verdict for verdict in verdicts if verdict.metric == name), None)
    if name == DRY_RUN and found is None and any(metric(verdict.metric).dry for verdict in verdicts):
        return Decision(step, "good", run=run)  # only a lost dry run has a verdict of its own
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
    """The verdicts on a case by the duets of several runs, as if one run had taken them all.

    Args:
        runs: of the same two steps.
        case: its id.
    """
    launches: dict[str, list[Launch]] = {"reference": [], "candidate": []}
    for number, run in enumerate(runs):
        for launch in (launch for launch in run.launches if launch.case == case):
            pair = None if launch.pair is None else launch.pair * len(runs) + number  # each run counts its own from 0
            launches[launch.side].append(replace(launch, pair=pair))
    before, now = ({case: side} for side in launches.values())
    return compare(before, now, runs[-1].tolerances())


def worst(verdicts: Iterable[Verdict], dry: bool) -> list[Verdict]:
    """What got worse: first what repeats exactly, and of that the largest change.

    Args:
        verdicts: of the case at the bad end.
        dry: take what a dry run tells alone.
    """
    worse = [found for found in verdicts if found.verdict == "regressed" and (metric(found.metric).dry or not dry)]
    return sorted(
        worse,
        key=lambda one: (metric(one.metric).noisy, -(math.inf if one.change is None else one.change), one.metric),
    )
