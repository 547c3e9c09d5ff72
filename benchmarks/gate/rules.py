"""Rules of other tools and of Perfgate that decide whether a case got slower, to be compared on the same launches.

Each rule asks a case for the launches it needs and returns a verdict. The rules of other tools are written here as
their documentation or source states them. If benchmatrix and inference-doctor are installed (neither is a dependency),
``agreement`` compares the rules written here with theirs.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations_with_replacement
from typing import Protocol

import numpy as np
from scipy import stats
from scipy.special import ndtr, ndtri, stdtrit

from perfgate.gate import confirmed
from perfgate.gate.alpha_budget import AlphaBudget
from perfgate.gate.confirmation import confirming
from perfgate.gate.duets import Duet
from perfgate.gate.noise import UNKNOWN, Noise
from perfgate.gate.screening import STEPS, screen
from perfgate.gate.statistics import against_sessions
from perfgate.gate.verdicts import name_of, share_of_alpha

TOLERANCE = 0.03
SOLO_STEPS = 40
SESSIONS, LAUNCHES = 3, 3  # sessions of a stored baseline, and launches of each session


class Case(Protocol):
    """A source of launches of one case, simulated or recorded; it returns each launch only once."""

    def stored(self, steps: int, session: int = 0) -> Sequence[float]:
        """Step times of one launch of the reference in one of the earlier sessions."""

    def now(self, steps: int) -> Sequence[float]:
        """Step times of one launch of the candidate."""

    def succession(self, steps: int) -> tuple[Sequence[float], Sequence[float]]:
        """Step times of one launch of the reference, and of one launch of the candidate right after it."""

    def duet(self) -> Duet:
        """A duet of reference and candidate."""


@dataclass(frozen=True)
class Outcome:
    """The verdict of a rule on a case.

    Attributes:
        verdict: ``regressed``, ``pass`` or ``inconclusive``; a rule's word for faster counts as ``pass``.
        launches: the actors that were started for it now, of both sides.
        steps: the steps that they took.
    """

    verdict: str
    launches: int
    steps: int


@dataclass(frozen=True)
class Rule:
    """A rule, under the name that a table shows.

    Attributes:
        start: makes the judge for a suite, from the number of its cases.
        paired: whether half of its launches are the reference's.
        budgeted: whether a verdict depends on the suite's other cases.
    """

    name: str
    start: Callable[[int], Callable[[Case], Outcome]]
    paired: bool = False
    budgeted: bool = False


def pytest_benchmark(percent: float) -> Rule:
    """``--benchmark-compare-fail=median:5%`` of pytest-benchmark 5.3: one run, one stored run, their medians' ratio."""

    def judge(case: Case) -> Outcome:
        ratio = median(case.now(SOLO_STEPS)) / median(case.stored(SOLO_STEPS))
        return Outcome("regressed" if ratio * 100 - 100 > percent else "pass", 1, SOLO_STEPS)

    return Rule(f"pytest-benchmark, `median:{percent:g}%`", lambda cases: judge)


def asv(factor: float) -> Rule:
    """``asv compare`` 0.6: the medians of pooled samples differ by a factor, and Mann-Whitney's test gives p < 0.002.

    By default two processes take five samples each (``asv_runner.benchmarks.time``: ten, halved for two rounds); a
    sample is one step if a step is longer than 10 ms. asv's own default factor is 1.1.
    """

    def judge(case: Case) -> Outcome:
        old, new = (np.concatenate([launch(5) for _ in range(2)]) for launch in (case.stored, case.now))
        worse = bool(median(old) < median(new) / factor)
        worse = worse and stats.mannwhitneyu(old, new, method="exact").pvalue < 0.002
        return Outcome("regressed" if worse else "pass", 2, 10)

    return Rule(f"asv, p < .002 and factor {factor:g}", lambda cases: judge)


def benchmatrix(percent: float, pairs: int = 5) -> Rule:
    """``benchmatrix compare --paired`` 1.2: a BCa bootstrap interval of the ratio of medians over pairs of runs.

    Confidence 95%, divided by Bonferroni over the cells of the matrix; regressed if the whole interval is beyond
    the threshold. Five pairs are its minimum. The pairs are resampled as one stratum.
    """

    def start(cases: int) -> Callable[[Case], Outcome]:
        def judge(case: Case) -> Outcome:
            found = [case.succession(SOLO_STEPS) for _ in range(pairs)]
            before, after = (np.array([median(pair[side]) for pair in found]) for side in (0, 1))
            low, high = paired_bca(before, after, 1 - 0.05 / cases)
            return Outcome(beyond(low, high, percent), 2 * pairs, 2 * pairs * SOLO_STEPS)

        return judge

    return Rule(f"benchmatrix, {pairs} pairs, {percent:g}%", start, paired=True)


def beyond(low: float, high: float, percent: float) -> str:
    """The class that benchmatrix gives to an interval of the improvement in percent; below 0 is slower."""
    if high < -percent:
        return "regressed"
    return "pass" if low >= -percent else "inconclusive"


def paired_bca(before: np.ndarray, after: np.ndarray, level: float) -> tuple[float, float]:
    """Interval of the improvement in percent: BCa (Efron 1987), over all resamples of the pairs instead of some."""
    counts, weights = resamples(len(before))
    middles = [np.median(side[counts], axis=1) for side in (before, after)]
    effects = (middles[0] / middles[1] - 1) * 100
    estimate = (median(before) / median(after) - 1) * 100
    left = np.array([np.delete(np.arange(len(before)), out) for out in range(len(before))])
    jackknife = (np.median(before[left], axis=1) / np.median(after[left], axis=1) - 1) * 100
    pseudo = (len(left) - 1) * (jackknife.mean() - jackknife)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    squares = float((pseudo**2).sum()) / len(left) ** 2
    if squares > 0:
        share = float(weights[effects < estimate].sum() + weights[effects == estimate].sum() / 2)
        bias = float(ndtri(min(1 - 1e-5, max(1e-5, share))))
        acceleration = float((pseudo**3).sum()) / len(left) ** 3 / (6 * squares**1.5)
        z = bias + ndtri(tails)
        tails = np.sort(ndtr(bias + z / (1 - acceleration * z)))
    order = np.argsort(effects)
    reached = np.cumsum(weights[order])
    low, high = (effects[order][min(int(np.searchsorted(reached, tail)), len(order) - 1)] for tail in tails)
    return float(low), float(high)


@cache
def resamples(size: int) -> tuple[np.ndarray, np.ndarray]:
    """All multisets of positions, and the chance of each among resamples with replacement."""
    found = list(combinations_with_replacement(range(size), size))
    ways = [math.factorial(size) / math.prod(map(math.factorial, np.bincount(one).tolist())) for one in found]
    return np.array(found), np.array(ways) / size**size


def inference_doctor(percent: float, launches: int = 5) -> Rule:
    """``inference-doctor compare-runs`` 0.4: Welch's 90% interval of the log ratio of means, held against a threshold.

    At least three runs a side, five or more advised; the threshold is 10% unless told otherwise.
    """

    def judge(case: Case) -> Outcome:
        old, new = (np.array([median(f(SOLO_STEPS)) for _ in range(launches)]) for f in (case.stored, case.now))
        low, high = welch(old, new)
        verdict = "regressed" if low >= percent else "pass" if high < percent else "inconclusive"
        return Outcome(verdict, launches, launches * SOLO_STEPS)

    return Rule(f"inference-doctor, {launches} runs a side, {percent:g}%", lambda cases: judge)


def welch(old: np.ndarray, new: np.ndarray, level: float = 0.9) -> tuple[float, float]:
    """Interval of the slowdown in percent; the errors of the logarithms by the delta method."""
    parts = [float(side.var(ddof=1)) / (len(side) * float(side.mean()) ** 2) for side in (old, new)]
    total = sum(parts)
    centre = math.log(float(new.mean()) / float(old.mean()))
    df = total**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (old, new), strict=True))
    half = float(stdtrit(df, 0.5 + level / 2)) * math.sqrt(total)
    return math.expm1(centre - half) * 100, math.expm1(centre + half) * 100


@dataclass
class Perfgate:
    """Screen and confirmation, with the budget of one suite."""

    budget: AlphaBudget
    noise: Noise
    tolerance: float = TOLERANCE
    metric: str = field(default="step_time_s", init=False)

    def __call__(self, case: Case) -> Outcome:
        """Judge one case in the way of a run."""
        share = self.budget.share
        found = screen(case.duet(), self.tolerance, share, self.noise)
        duets: list[Duet] = []
        verdict: str = found.verdict
        if found.suspect:
            self.budget = self.budget.spent()
            state = confirming({self.metric: share}, {self.metric: self.tolerance})
            while more := state.wanted(len(duets)):
                duets += [case.duet() for _ in range(more)]
                state = state.seen({self.metric: duets}, self.noise)
            verdict = state.looks[self.metric].verdict
        count = 1 + len(duets)
        return Outcome("pass" if verdict == "improved" else verdict, 2 * count, 2 * count * STEPS)


def perfgate(noise: Noise = UNKNOWN) -> Rule:
    """Perfgate with a reference."""
    name = "Perfgate, with noise.json" if noise.df else "Perfgate, no noise.json"
    return Rule(name, lambda cases: Perfgate(AlphaBudget(cases), noise), paired=True, budgeted=True)


@dataclass
class Stored:
    """Perfgate on a stored baseline: new launches compared with those of earlier sessions.

    Attributes:
        pairs: the number of the suite's pairs.
        duets: the rule for duets, which decide when stored times cannot; ``None`` without duets.
        slower: the slowdown of the machine since the baseline was stored; 0.2 is 20%.
    """

    pairs: int
    duets: Perfgate | None = None
    slower: float = 0.0

    def __call__(self, case: Case) -> Outcome:
        """Judge one case in the way of a run."""
        sessions = {
            str(session): [math.log(median(case.stored(SOLO_STEPS, session))) for _ in range(LAUNCHES)]
            for session in range(SESSIONS)
        }
        now = [math.log(median(case.now(SOLO_STEPS))) + math.log1p(self.slower) for _ in range(LAUNCHES)]
        found = against_sessions(sessions, now)
        assert found is not None
        share = share_of_alpha(self.pairs) * (confirmed.STORED_SHARE if self.duets else 1)
        verdict: str = name_of(found, share, TOLERANCE, TOLERANCE)
        own = Outcome("pass" if verdict == "improved" else verdict, LAUNCHES, LAUNCHES * SOLO_STEPS)
        if self.duets is None or own.verdict == "pass":
            return own
        beside = self.duets(case)
        return Outcome(beside.verdict, own.launches + beside.launches, own.steps + beside.steps)


def stored(confirms: bool, slower: float = 0.0) -> Rule:
    """Perfgate on a stored baseline of nine launches from three sessions, on the same machine or on a slower one."""

    def start(cases: int) -> Stored:
        budget = confirmed.shared(AlphaBudget(cases))
        return Stored(cases, Perfgate(budget, UNKNOWN) if confirms else None, slower)

    name = f"Perfgate, stored times {'and duets' if confirms else 'alone'}"
    return Rule(name + (f", machine {slower:.0%} slower" if slower else ""), start, budgeted=confirms)


def median(values: Sequence[float] | np.ndarray) -> float:
    """The same result as ``numpy.median``, ten times as fast on a few dozen values."""
    ordered = np.sort(values)
    half = len(ordered) // 2
    return float(ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def agreement(draws: int = 50) -> list[str]:
    """One line for each tool: how often the rule here agrees with the tool itself, on seeded random draws."""
    generator = np.random.default_rng(1)
    sides = [np.exp(generator.normal([[0], [effect]], 0.01, (2, 5))) for effect in np.linspace(0, 0.15, draws)]
    lines = []
    try:
        from benchmatrix.bench_statistics import bootstrap_paired_median_ratio_interval as theirs

        same = 0
        for before, after in sides:
            options = {"lower_is_better": True, "confidence_level": 0.9995, "resamples": 50_000, "random_seed": 0}
            found = theirs(before.tolist(), after.tolist(), **options)
            same += beyond(found.low, found.high, 1) == beyond(*paired_bca(before, after, 0.9995), 1)
        lines.append(f"benchmatrix: the same verdict in {same} of {draws} draws")
    except ImportError:
        lines.append("benchmatrix: not installed, its rule is applied as benchmatrix 1.2.1 documents it")
    try:
        from inference_doctor.quality import QualityThresholds, decide_regression

        same = 0
        for before, after in sides:
            thresholds = QualityThresholds(regression_percent=1)
            theirs_is = decide_regression(before.tolist(), after.tolist(), lower_is_better=True, thresholds=thresholds)
            low, high = welch(before, after)
            ours_is = "FAIL" if low >= 1 else "PASS" if high < 1 else "INCONCLUSIVE"
            same += theirs_is.status == ours_is
        lines.append(f"inference-doctor: the same verdict in {same} of {draws} draws")
    except ImportError:
        lines.append("inference-doctor: not installed, its rule is applied as inference-doctor 0.4.1 documents it")
    return lines


TOOLS = (
    pytest_benchmark(5),
    asv(1.05),
    benchmatrix(5),
    benchmatrix(1),
    inference_doctor(10),
    inference_doctor(1),
)
STORED = tuple(stored(confirms, slower) for slower in (0.0, 0.2, 0.5) for confirms in (False, True))
