"""A series of duets: takes duets until each metric of a case is decided."""

import math
import statistics
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfgate.cases.deadline import Deadline
from perfgate.gate import effects
from perfgate.gate.acceptance import Acceptance
from perfgate.gate.against_run import NOT_MEASURED
from perfgate.gate.alpha_budget import AlphaBudget
from perfgate.gate.clocks import UNCLOCKED, ClockChoice, choose, on
from perfgate.gate.confirmation import FEW_LOOKS, LOOKS, confirming
from perfgate.gate.duets import Duet, of_pair
from perfgate.gate.effects import Expectation
from perfgate.gate.equivalence import Equivalence
from perfgate.gate.improvement import improving, promising
from perfgate.gate.launches import new_verdict
from perfgate.gate.looks import Look, to_next_look
from perfgate.gate.noise import UNKNOWN, Noise
from perfgate.gate.screening import Screen, screen, suspects
from perfgate.gate.slow_steps import slow_steps
from perfgate.gate.two_times import of_launches, rest_of_step
from perfgate.gate.verdicts import Comparison, fallen
from perfgate.gate.versions import TOLERANCE
from perfgate.measure.duet import DuetSide, duet, valid_pair
from perfgate.measure.stage import Stage
from perfgate.records.clocks import STEP
from perfgate.records.launch import Launch, Side
from perfgate.records.verdict import Name, Verdict
from perfgate.shared.metrics import METRICS, metric

Promise = Expectation | Equivalence
Progress = Callable[[str], None]
OUT_OF_TIME = "no time was left for more duets (--perf-budget)"
UNSEEN = "this program does not measure it"
ONLY_NOW = "the reference does not measure it"
APART = "both sides were stepped one after the other, as they do not fit into memory together"


@dataclass(frozen=True)
class Policy:
    """The rules by which a run judges.

    Attributes:
        alpha_budget: the chance of a false alarm, divided among suspects.
        deadline: the deadline of the run.
        noise: the noise of duets on this machine.
        strict: whether an inconclusive verdict fails its case.
        version_tolerance: the largest acceptable change of counted metrics if the reference has other versions.
        update: the mode of ``--perf-update``, if any.
        accepted: the regressions that are accepted against the reference.
        stored_share: the part of alpha for verdicts on stored times; the budget has the rest.
        thorough: whether fresh duets decide every time, even one that the screen would pass.
    """

    alpha_budget: AlphaBudget
    deadline: Deadline
    noise: Noise = UNKNOWN
    strict: bool = False
    version_tolerance: float = TOLERANCE
    update: str | None = None
    accepted: tuple[Acceptance, ...] = ()
    stored_share: float = 1.0
    thorough: bool = False

    @property
    def stored_pairs(self) -> int:
        """The number by which alpha is divided for a verdict on one stored time."""
        return round(max(self.alpha_budget.pairs, 1) / self.stored_share)


@dataclass
class DuetSeries:
    """Takes duets of one case and keeps them.

    Attributes:
        case: its id.
        parts: the two sides, reference and candidate.
        deadline: the deadline of the run.
        progress: called with a few words when a duet begins.
        launches: the launches of all duets, including disturbed ones.
        pairs: reference and candidate of each valid duet.
        clock: the clock of the last look; each look chooses it anew from its duets.
        invalid: the reason why no more duets can be taken; empty while they can.
        took_s: the seconds of the last duet.
    """

    stage: Stage
    case: str
    parts: Sequence[DuetSide]
    deadline: Deadline
    progress: Progress
    launches: list[Launch] = field(default_factory=list)
    pairs: list[tuple[Launch, Launch]] = field(default_factory=list)
    invalid: str = ""
    took_s: float = 0.0
    clock: ClockChoice = field(default_factory=ClockChoice)

    def take(self, wanted: int, what: str) -> bool:
        """Take this many duets; returns whether all are valid."""
        for number in range(1, wanted + 1):
            if self.pairs and not self.deadline.allows(self.took_s):
                self.invalid = OUT_OF_TIME
                return False
            self.progress(f"{what} {number} of {wanted}")
            begin = time.perf_counter()
            found = duet(self.stage, self.case, len(self.pairs), self.parts, len(self.launches) // 2)
            self.took_s = time.perf_counter() - begin
            self.launches += found
            pair = valid_pair(found)
            if pair is None:
                self.invalid = found[-1].invalid or found[-2].invalid or ""
                return False
            self.pairs.append(pair)
        return True

    def fell(self, *sides: Side) -> Launch | None:
        """The launch in the last duet whose program failed, on one of these sides; ``None`` if none failed."""
        return next((launch for launch in self.launches[-2:] if launch.fault and launch.side in sides), None)

    def on_clock(self, begin: int = 0) -> list[tuple[Launch, Launch]]:
        """The duets from number ``begin`` on, all on one clock, which is chosen from them."""
        self.clock = choose([launch for pair in self.pairs[begin:] for launch in pair])
        clock = self.clock.clock or "wall"
        return [(with_rates(before.on(clock)), with_rates(now.on(clock))) for before, now in self.pairs[begin:]]

    def names(self) -> list[str]:
        """Names of the gated times that both sides measured."""
        reference, candidate = self.on_clock()[0]
        both = set(reference.metrics) & set(candidate.metrics)
        return [name for name, row in METRICS.items() if name in both and row.noisy]

    def unseen(self, told: Sequence[Verdict]) -> list[Verdict]:
        """Verdicts on the times that either side measured and that have no verdict yet."""
        either = {name for pair in self.pairs for launch in pair for name in launch.metrics}
        left = either - {verdict.metric for verdict in told}
        return [self._unseen(name) for name, row in METRICS.items() if name in left and row.noisy]

    def _unseen(self, name: str) -> Verdict:
        reference, candidate = (
            [launch for launch in side if name in launch.metrics] for side in zip(*self.pairs, strict=True)
        )
        if not reference:
            return replace(new_verdict(self.case, name, [launch.value(name) for launch in candidate]), why=ONLY_NOW)
        why = UNCLOCKED if candidate else NOT_MEASURED
        return self.beside(Verdict(self.case, name, "inconclusive", launches=len(candidate), why=why))

    def tells(self, name: str, begin: int = 0) -> bool:
        """Whether both sides have a metric on the clock of the duets from number ``begin`` on."""
        return all(name in launch.metrics for pair in self.on_clock(begin) for launch in pair)

    def duets(self, name: str, begin: int = 0, of_step: bool = True) -> list[Duet]:
        """One metric of the duets from number ``begin`` on; empty if their clock does not know it."""
        return [of_pair(*pair, name, of_step) for pair in self.on_clock(begin)] if self.tells(name, begin) else []

    def held(self, name: str, tolerance: float, begin: int = 0, of_step: bool = True) -> Comparison:
        """Compare the medians of both sides over the duets from number ``begin`` on."""
        sides = [[pair[side] for pair in self.on_clock(begin)] for side in (0, 1)]
        before, now = (statistics.median(launch.value(name) for launch in side) for side in sides)
        rest = rest_of_step(metric(name), of_launches(sides[0])) if of_step else 0.0
        return Comparison(self.case, name, before, now, len(sides[1]), tolerance, rest)

    def beside(self, verdict: Verdict, *remarks: str) -> Verdict:
        """A verdict from these duets, corrected for the blind spot of their clock."""
        return replace(self.clock.told(with_remark(verdict, *remarks)), against="reference")

    def judged(self) -> list[Launch]:
        """All launches, with their times on the clock of the last look."""
        return on(self.clock, self.launches)

    @property
    def remark(self) -> str:
        """A clause on how the duets were taken, if it was unusual."""
        return APART if any(pair[0].details.turns.stepped != "in turn" for pair in self.pairs) else ""


def with_rates(launch: Launch) -> Launch:
    """Add samples per second and tokens per second, step by step."""
    steps = launch.metrics["step_time_s"]
    if not isinstance(steps, list):
        return launch
    rates = {name: [amount / step for step in steps] for name, amount in launch.rate_amounts.items()}
    return replace(launch, metrics={**launch.metrics, **rates})


def against_reference(
    series: DuetSeries,
    tolerances: Mapping[str, float],
    alpha_budget: AlphaBudget,
    noise: Noise = UNKNOWN,
    screened: Callable[[], None] = lambda: None,
    names: Container[str] = METRICS,
    thorough: bool = False,
) -> tuple[list[Verdict], AlphaBudget]:
    """Screen a case with one duet, and decide with fresh duets whatever looks worse or much better.

    Args:
        series: the duets of the case; its parts are reference and candidate.
        tolerances: the case's own largest acceptable changes, by metric.
        alpha_budget: the budget that earlier cases left.
        noise: the noise of duets on this machine.
        screened: called when the screen is over.
        names: the gated times to decide; others are left out.
        thorough: whether fresh duets, at few looks, also decide times that the screen would pass.

    Returns:
        A verdict for each gated time, and the remaining budget.
    """
    if not series.take(1, "screen duet"):
        return [Verdict(series.case, "step_time_s", "invalid", launches=0, why=series.invalid)], alpha_budget
    screened()
    limits = {name: tolerances.get(name, metric(name).tolerance) for name in series.names() if name in names}
    known = noise.on(series.clock.clock or "wall")
    screens = {name: screen(series.duets(name)[0], limits[name], alpha_budget.share, known) for name in limits}
    suspected = list(limits) if thorough else suspects(screens)
    shares = {}
    for name in suspected:
        shares[name] = alpha_budget.share
        alpha_budget = alpha_budget.spent()
    confirmation = confirming(shares, limits, FEW_LOOKS if thorough else LOOKS)
    faster = improving({name: limits[name] for name in promising(screens, limits)})
    while wanted := confirmation.wanted(fresh := len(series.pairs) - 1) or faster.wanted(fresh):
        what = f"suspect ({', '.join(confirmation.undecided)})" if confirmation.undecided else "faster"
        complete = series.take(wanted, f"{what}: duet")
        found = {name: series.duets(name, 1) for name in limits}
        known = noise.on(series.clock.clock or "wall")
        confirmation = confirmation.seen(found, known, final=not complete)
        faster = faster.seen(found, known, final=not complete)
    # Without any fresh duet, a metric that looked faster has passed by its screen.
    told = {name: look for name, look in faster.looks.items() if look.change is not None}
    looks = {**told, **confirmation.looks}
    verdicts = [verdict_of(series, name, limits[name], screens[name], looks.get(name)) for name in limits]
    if series.fell("candidate"):
        verdicts = [fallen(verdict, series.invalid) for verdict in verdicts]
    elif slower := slow_steps(series.on_clock(), limits.get(STEP, math.inf)):
        verdicts = [with_remark(verdict, slower) if verdict.metric == STEP else verdict for verdict in verdicts]
    return verdicts, alpha_budget


def verdict_of(series: DuetSeries, name: str, tolerance: float, screened: Screen, looked: Look | None) -> Verdict:
    """The verdict of the confirmation, or of the screen if the metric was not suspect, corrected for the clock."""
    if looked is None:
        return series.beside(screened.told(series.held(name, tolerance)), series.remark)
    if len(series.pairs) == 1 or not series.tells(name, 1):
        held = series.held(name, tolerance)
        return series.beside(held.verdict("inconclusive", series.invalid, screened.change))
    told = looked.told(series.held(name, tolerance, 1))
    undecided = series.invalid if told.verdict == "inconclusive" else ""
    return series.beside(told, series.remark, undecided)


def with_remark(verdict: Verdict, *remarks: str) -> Verdict:
    """A verdict with remarks added to its reason."""
    return replace(verdict, why="; ".join(filter(None, [verdict.why, *remarks])))


def of_effect(series: DuetSeries, expectations: Sequence[Expectation], noise: Noise = UNKNOWN) -> list[Verdict]:
    """Decide whether a setting changes times as expected.

    Args:
        series: its parts are vanilla as the reference, and the setting as the candidate.
        expectations: the expectations of times.
        noise: the noise of duets on this machine.
    """
    looks: dict[Expectation, Look] = {}
    wanted = LOOKS[0]
    measured: list[Expectation] = []
    while wanted:
        complete = series.take(wanted, "duet")
        if not series.pairs:
            return [nothing(series.case, item, "invalid", series.invalid) for item in expectations]
        measured = [item for item in expectations if series.tells(item.metric)]
        for item in measured:
            if item not in looks or not looks[item].decided:
                found = series.duets(item.metric, of_step=False)
                known = noise.on(series.clock.clock or "wall")
                looks[item] = effects.noisy(item, found, known, final=not complete)
        done = complete and all(look.decided for look in looks.values())
        wanted = 0 if done or not complete else to_next_look(LOOKS, len(series.pairs))
    told = [as_effect(looks[item].told(series.held(item.metric, 0.0, of_step=False)), item) for item in measured]
    unseen = [nothing(series.case, item, "inconclusive", UNSEEN) for item in expectations if item not in measured]
    return [series.clock.told(with_remark(verdict, series.remark, series.invalid)) for verdict in told] + unseen


def nothing(case: str, item: Promise, name: Name, why: str) -> Verdict:
    """The verdict on an expectation of a metric that was not measured."""
    return as_effect(Verdict(case, item.metric, name, why=why), item)


def as_effect(verdict: Verdict, item: Promise) -> Verdict:
    """A verdict marked as one against vanilla, with its expectation."""
    return replace(verdict, expected=str(item), against="vanilla")
