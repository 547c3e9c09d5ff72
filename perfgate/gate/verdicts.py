"""Makes the verdict on one metric of one case from its numbers."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perfgate.gate.statistics import Difference, safe_expm1
from perfgate.records.verdict import Name, Verdict

ALPHA = 0.01
DELTA_MIN_SHARE = 1 / 3  # of the tolerance: the smallest change that must be excluded before a case fails
MIN_BASELINE_LAUNCHES = 5
MIN_BASELINE_SESSIONS = 3
ROUNDING = 1e-14  # a ratio of just 1.01 less 1 is above 0.01 in floating point


@dataclass(frozen=True)
class Comparison:
    """One metric of one case: its value in the reference and in the candidate, and the largest acceptable change.

    Attributes:
        beside: an amount added to both values before their ratio is taken; if the metric is a part of a step, the rest
            of the step.
    """

    case: str
    metric: str
    reference: float
    candidate: float
    launches: int
    tolerance: float
    beside: float = 0.0

    def verdict(
        self,
        name: Name,
        why: str,
        change: float | None = None,
        low: float | None = None,
        high: float | None = None,
        smallest_detectable: float | None = None,
    ) -> Verdict:
        """Make the verdict on these values.

        A change that was estimated otherwise than from the two values, as from pairs of steps or in yardsticks, is
        more exact. The reference's value is then computed from the candidate's value and this change, so that all
        numbers of the verdict agree.
        """
        beside = self.reference
        if change is not None and change > -1 and beside > 0:
            whole = self.candidate + self.beside
            apart = abs(whole - (1 + change) * (beside + self.beside))
            beside = whole / (1 + change) - self.beside if apart > ROUNDING * whole else beside
        return Verdict(
            self.case,
            self.metric,
            name,
            change,
            low,
            high,
            smallest_detectable,
            beside,
            self.candidate,
            self.launches,
            self.tolerance,
            why,
        )


def exact_verdict(held: Comparison, why: str = "") -> Verdict:
    """The verdict on an exact metric: growth by more than the tolerance is worse, any decrease is better.

    A counter that was 0 has no relative change; its new value takes that place.
    """
    change = held.candidate / held.reference - 1 if held.reference else held.candidate
    name: Name = "regressed" if change > held.tolerance + ROUNDING else "improved" if change < 0 else "pass"
    return held.verdict(name, why, change, change, change, held.tolerance)


def noisy_verdict(held: Comparison, found: Difference | None, alpha: float, threshold: float, why: str = "") -> Verdict:
    """The verdict on a metric that varies from launch to launch.

    Args:
        held: the metric and its two values.
        found: the difference with its uncertainty, or ``None`` if there were too few launches.
        alpha: this verdict's share of the chance of a false alarm.
        threshold: relative change that must be excluded before the case fails.
        why: a remark for the verdict.
    """
    if found is None:
        return held.verdict("inconclusive", why or TOO_FEW)
    limit = math.log1p(threshold)
    detectable = found.smallest_detectable(alpha, limit)
    name = name_of(found, alpha, threshold, held.tolerance)
    upper = found.better(alpha) if name == "improved" else found.upper()  # the bound behind the verdict
    change, low, high = (safe_expm1(value) for value in (found.estimate, found.lower(alpha), upper))
    return held.verdict(name, why, change, low, high, detectable)


def name_of(found: Difference, alpha: float, threshold: float, tolerance: float) -> Name:
    """Name the verdict on a difference.

    Regressed or improved by more than the threshold, or surely within the tolerance (pass); else inconclusive.

    Args:
        found: the difference.
        alpha: chance of a false alarm.
        threshold: relative change that must be excluded, 0.03 is 3%; one that is just met is not excluded.
        tolerance: largest acceptable change.
    """
    limit = math.log1p(threshold) + ROUNDING
    if found.lower(alpha) > limit:
        return "regressed"
    if found.better(alpha) < -limit:
        return "improved"
    return "pass" if found.upper() < math.log1p(tolerance) - ROUNDING else "inconclusive"


TOO_FEW = "too few launches to know how much they vary"


def young_verdict(held: Comparison, change: float, launches: int, sessions: int) -> Verdict:
    """The verdict on a time with too few stored sessions to know its noise; ``change`` is shown but decides nothing."""
    why = (
        f"baseline too young: {launches} launches from {sessions} "
        f"{'session' if sessions == 1 else 'sessions'}, {MIN_BASELINE_LAUNCHES} from {MIN_BASELINE_SESSIONS} are needed"
    )
    return held.verdict("inconclusive", why, change)


def agree(values: Sequence[float]) -> bool:
    """Whether all values of an exact metric are equal."""
    return len(set(values)) <= 1


def share_of_alpha(pairs: int) -> float:
    """The chance of a false alarm for one of ``pairs`` noisy case-metric pairs of a suite."""
    return ALPHA / max(pairs, 1)


def logarithms(values: Mapping[str, Sequence[float]]) -> dict[str, list[float]]:
    """The values by session, each replaced by its logarithm."""
    return {session: [math.log(value) for value in group] for session, group in values.items()}


def typical(values: Mapping[str, Sequence[float]]) -> float:
    """The mean over sessions of each session's median: the number shown for a baseline."""
    return statistics.fmean(statistics.median(group) for group in values.values() if group)


def fallen(verdict: Verdict, why: str) -> Verdict:
    """The verdict on a program that failed in a later duet: a regression stands, everything else becomes invalid."""
    if verdict.verdict == "regressed":
        return verdict
    return replace(verdict, verdict="invalid", why=why, change=None, low=None, high=None, smallest_detectable=None)
