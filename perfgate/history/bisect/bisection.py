"""A bisection: compares the ends, halves the rest until the first bad step is known, and measures its change."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from perfgate.gate.wording import percent
from perfgate.history.bisect.courses import Course
from perfgate.history.bisect.decisions import Decision, Suspects, decide, suspects, together, worst
from perfgate.history.bisect.state import State
from perfgate.history.bisect.trial import OutOfTimeError, Trials
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import metric

ATTEMPTS = 6  # trials of a step that noise leaves undecided; the duets of all trials count together


class NotRunError(UserError):
    """The case does not run at a step."""


@dataclass(frozen=True)
class Wish:
    """The goal of a bisection.

    Attributes:
        metric: the metric to follow; empty for the one that got worse most.
        exact: whether only exact metrics of dry runs decide.
    """

    metric: str = ""
    exact: bool = False


class Bisection:
    """Finds the first bad step.

    Args:
        course: the steps from good to bad.
        state: the decisions so far; saved after each trial.
        trials: runs the case.
        case: the case's id.
        tell: called with a few words at each step.
    """

    def __init__(self, course: Course, state: State, trials: Trials, case: str, tell: Callable[[str], None]) -> None:
        self.course, self.state, self.trials, self.case = course, state, trials, case
        self._tell = tell

    def run(self, wish: Wish) -> str:
        """Bisect, and return why it stopped early; empty if it did not.

        Raises:
            UserError: the case cannot be run at the ends, or did not get worse between them.
        """
        try:
            if self.state.end is None:
                self.compare_ends(wish)
            while step := self.next_step():
                self.add(step, self.decided(step))
            found = self.left()
            if found.found and self.state.change is None:
                self.state.change = self.last_change(found)
                self.state.save()
        except OutOfTimeError:
            return "the budget of time ended (--budget)"
        return ""

    def left(self) -> Suspects:
        """The steps that remain between good and bad."""
        return suspects(self.course, self.state.decided)

    def next_step(self) -> str:
        """The next step to run; empty if there is none."""
        return next(iter(self.left().open), "")

    def compare_ends(self, wish: Wish) -> None:
        """Find a metric that got worse from the good end to the bad end: exact metrics first, then times."""
        known: list[Verdict] = []
        wanted = metric(wish.metric).brought_by if wish.metric else None
        for dry in (True, False):
            if (not dry and wish.exact) or (wanted and (wanted == "dry") != dry):
                continue
            self._tell(f"{self.case}: {'exact metrics' if dry else 'times'} of both ends")
            for number, (run_id, known) in enumerate(self.looks(self.course.bad, self.course.good, dry)):
                if self.follows(run_id, known, dry, wish):
                    return
                # A user who bisects has seen it get worse, so the gate is asked twice before that is denied.
                if number and not hidden(known, wish.metric):
                    break
        raise UserError(unmoved(self.case, self.course, known, wish.metric, self.trials.log))

    def follows(self, run_id: str, known: list[Verdict], dry: bool, wish: Wish) -> bool:
        """Choose the metric to follow by the verdicts on the bad end; returns whether one got worse."""
        worse = worst(known, dry)
        followed = [one for one in worse if wish.metric in ("", one.metric)]
        if not followed:
            return False
        name = followed[0].metric
        self.state.metric, self.state.dry = name, dry
        self.state.end = decide(self.course.bad, known, name, run=run_id)
        self.state.others = [one.metric for one in worse if one.metric != name]
        self.state.save()
        self._tell(f"{name} got worse{amount(self.state.end)}")
        return True

    def decided(self, step: str) -> Decision:
        """Decide a step, with as many trials as it needs."""
        good, end = self.course.good, self.state.end
        if self.course.same(good, step):
            return Decision(step, "good", why="no file differs from the good end's")
        found = Decision(step, "unsure")
        try:
            for run_id, verdicts in self.looks(step, good, self.state.dry):
                found = decide(step, verdicts, self.state.metric, end.change if end else None, run_id)
                if found.name != "unsure":
                    break
        except NotRunError as error:
            return Decision(step, "skipped", why=str(error))
        return found

    def last_change(self, found: Suspects) -> Decision:
        """The change of the first bad step, compared with the last good one."""
        if found.last_good == self.course.good:
            known = [one for one in (self.state.end, *self.state.decided) if one and one.step == found.first_bad]
            return known[-1]
        self._tell(f"{self.short(found.first_bad)} beside {self.short(found.last_good)}")
        for run_id, verdicts in self.looks(found.first_bad, found.last_good, self.state.dry):
            change = decide(found.first_bad, verdicts, self.state.metric, run=run_id)
            if change.name != "unsure":
                break
        return change

    def looks(self, step: str, against: str, dry: bool) -> Iterator[tuple[str, list[Verdict]]]:
        """Run the case at a step against another step repeatedly; yields the combined verdicts after each trial.

        Raises:
            NotRunError: one of them does not run.
            UserError: the case's workload has changed.
        """
        runs: list[RunFile] = []
        for _ in range(1 if dry else ATTEMPTS):
            try:
                runs.append(self.trials.run(self.course.side(against), self.course.side(step), dry))
            except UserError as error:
                raise NotRunError(str(error), error.details) from None
            run_id, verdicts = self.told(runs[-1])
            yield run_id, verdicts if len(runs) == 1 else together(runs, self.case)

    def told(self, run: RunFile) -> tuple[str, list[Verdict]]:
        """A run's id and the verdicts on the case.

        Raises:
            UserError: the case's workload has changed since the bisection began.
        """
        found = {launch.workload for launch in run.launches if launch.case == self.case}
        self.state.workload = self.state.workload or min(found, default="")
        if found and self.state.workload not in found:
            raise UserError(
                f"{self.case} is another workload than when this bisection began; begin again with --afresh"
            )
        return run.header["run_id"], [one for one in run.verdicts if one.case == self.case]

    def add(self, step: str, decision: Decision) -> None:
        """Store a decision and report it."""
        self.state.decided.append(replace(decision, step=step))
        self.state.save()
        left = len(self.left().open)
        rest = f"{left} left, about {math.ceil(math.log2(left + 1))} more" if left else "none is left"
        why = f" ({decision.why})" if decision.name == "skipped" else ""
        self._tell(f"{self.short(step)} is {decision.name}{amount(decision)}{why}; {rest}")

    def short(self, step: str) -> str:
        """A step in one word."""
        return self.course.short(step)


def hidden(verdicts: Iterable[Verdict], wanted: str) -> bool:
    """Whether only noise keeps a metric undecided."""
    return any(
        one.verdict == "inconclusive" and metric(one.metric).noisy and wanted in ("", one.metric) for one in verdicts
    )


def amount(decision: Decision) -> str:
    """The difference of a step from the good end, in parentheses."""
    if decision.change is None:
        if decision.before is None or decision.after is None:
            return ""
        return f" ({decision.before:g} to {decision.after:g})"
    interval = ""
    if decision.low is not None and decision.high is not None and decision.low != decision.high:
        interval = f", {percent(decision.low)} to {percent(decision.high)}"
    return f" ({percent(decision.change)}{interval})"


def unmoved(case: str, course: Course, verdicts: list[Verdict], wanted: str, log: Path) -> str:
    """The reason why there is nothing to bisect, as an error."""
    ends = f"between {course.short(course.good)} and {course.short(course.bad)}"
    about = [one for one in verdicts if wanted in ("", one.metric)]
    if not about:
        return f"{case}: {wanted or 'what is gated'} was not measured at both ends; see {log}"
    if wrong := [one for one in about if one.verdict in ("invalid", "stale", "new")]:
        return f"{case}: {wrong[0].metric} cannot be held against the good end: {wrong[0].why}"
    if any(one.verdict == "inconclusive" for one in about):
        return f"{case}: noise hides whether it got worse {ends}; give it a quieter machine"
    return f"{case}: {f'{wanted} did not get' if wanted else 'nothing got'} worse {ends}"
