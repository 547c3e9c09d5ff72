"""Differences and their uncertainty: how sure one can be that something got slower.

All in logarithms: a launch is y = log(median of its steps), a difference is the logarithm of a ratio, and its
uncertainty is Student's t on launches, never on steps: the steps of one launch share what made that launch fast or
slow (Kalibera & Jones, ISMM 2013).
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

CLEAR_LEVEL = 0.995
POWER = 0.95
SESSION_PRIOR = 0.02
PRIOR_FREEDOM = 4
QUANTILES = 400


@dataclass(frozen=True)
class Difference:
    """The candidate against the reference, as the logarithm of a ratio; above 0 is worse.

    Attributes:
        estimate: the estimated difference.
        error: its standard error, from the launches at hand.
        df: degrees of freedom of ``error``.
        wide_error: standard error with an allowance for differences between sessions that the data cannot show.
        wide_freedom: degrees of freedom of ``wide_error``.
        launches: the number of the candidate's launches behind it.
        widened: whether ``wide_error`` rests more on the prior than on the sessions at hand.
    """

    estimate: float
    error: float
    df: float
    wide_error: float
    wide_freedom: float
    launches: int
    widened: bool = False

    def lower(self, alpha: float) -> float:
        """One-sided lower bound of the true difference, wrong with a chance of ``alpha``."""
        return self.estimate - t_quantile(1 - alpha, self.wide_freedom) * self.wide_error

    def upper(self, level: float = CLEAR_LEVEL) -> float:
        """One-sided upper bound of the true difference, with the given confidence."""
        return self.estimate + t_quantile(level, self.df) * self.error

    def better(self, alpha: float) -> float:
        """Upper bound, wrong with a chance of ``alpha``; an improvement needs it to be low enough."""
        return self.estimate + t_quantile(1 - alpha, self.wide_freedom) * self.wide_error

    def smallest_detectable(self, alpha: float, threshold: float) -> float:
        """Smallest true change that these launches would have shown in 95 of 100 runs; 0.05 is 5%.

        Args:
            alpha: chance of a false alarm that is allowed.
            threshold: change that must be excluded, as the logarithm of a ratio.
        """
        return safe_expm1(threshold + errors_shown(alpha, self.wide_freedom) * self.wide_error)


def against_sessions(
    reference: Mapping[str, Sequence[float]], candidate: Sequence[float], prior: float = SESSION_PRIOR
) -> Difference | None:
    """Compare the launches of one session with those of earlier sessions.

    A launch varies within its session, and sessions vary among themselves. The new session's mean is predicted from
    the earlier ones': its variance is b²(1 + 1/S) + w²(1/k + 1/n), for S sessions, n launches in them, k launches now.
    w² is pooled over all sessions, b² is what the sessions' means vary beyond that, with S - 1 degrees of freedom, and
    the two are combined as Satterthwaite does. So few means tell little of b, so for failing a case it is drawn towards
    a prior with the weight of four degrees of freedom (moderated as in Smyth 2004), which fades as sessions come in.

    Args:
        reference: values (logarithms) of the launches of each earlier session.
        candidate: values of the launches now.
        prior: the assumed standard deviation between sessions, until sessions show it.

    Returns:
        ``None`` if there are too few launches for a spread (none on a side, or one on each).
    """
    groups = [list(values) for values in reference.values() if values]
    count = sum(map(len, groups))
    df = count - len(groups) + len(candidate) - 1
    if not groups or not candidate or df < 1:
        return None
    within = sum(sum_of_squares(values) for values in (*groups, candidate)) / df
    means = [statistics.fmean(values) for values in groups]
    scale = 1 / len(candidate) + 1 / count
    parts = [(within * scale, float(df))]
    wide = list(parts)
    known = len(groups) - 1
    growth = 1 + 1 / len(groups)
    between = 0.0
    if known:
        share = statistics.fmean(1 / len(values) for values in groups)
        between = max(0.0, statistics.variance(means) - within * share)
        parts.append((between * growth, float(known)))
    moderated = (PRIOR_FREEDOM * prior**2 + known * between) / (PRIOR_FREEDOM + known)
    wide.append((moderated * growth, float(PRIOR_FREEDOM + known)))
    # Each session counts once, because launches of one session are not independent.
    estimate = statistics.fmean(candidate) - statistics.fmean(means)
    return Difference(estimate, *combine(parts), *combine(wide), len(candidate), known < PRIOR_FREEDOM)


def combine(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Standard error and degrees of freedom of a sum of variances (Satterthwaite 1946)."""
    total = sum(variance for variance, _ in parts)
    weight = sum(variance**2 / df for variance, df in parts if df < math.inf)
    return math.sqrt(total), total**2 / weight if weight > 0 else math.inf


def sum_of_squares(values: Sequence[float]) -> float:
    """Squared deviations from the mean, added up."""
    mean = statistics.fmean(values)
    return math.fsum((value - mean) ** 2 for value in values)


def t_quantile(level: float, df: float) -> float:
    """Quantile of Student's t; of the normal distribution for infinite degrees of freedom."""
    from scipy.special import ndtri, stdtrit  # costs 0.1 s, which a mere collection of tests should not pay

    return float(ndtri(level)) if math.isinf(df) else float(stdtrit(df, level))


@cache
def errors_shown(alpha: float, df: float, power: float = POWER) -> float:
    """The number of standard errors by which a true difference must exceed a threshold for that to be shown.

    The error itself is estimated from a few launches and may be large by chance, so the sum of two quantiles of t is
    not enough: the difference over its error follows the noncentral t distribution. It is averaged here over the
    quantiles of the error, because library routines do not return in the far tails of few launches.

    Args:
        alpha: the allowed chance of a false alarm.
        df: the degrees of freedom of the error.
        power: the share of runs that must show it.
    """
    import numpy as np
    from scipy.special import chdtri, ndtr, ndtri

    critical = t_quantile(1 - alpha, df)
    if math.isinf(df):
        return critical + float(ndtri(power))
    scales = np.sqrt(chdtri(df, (np.arange(QUANTILES) + 0.5) / QUANTILES) / df)
    low, high = 0.0, critical * float(scales.max()) + float(ndtri(power))
    while high - low > 1e-6 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if ndtr(middle - critical * scales).mean() < power else (low, middle)
    return high


def f_tail(variance: float, df: float, other: float, other_freedom: float) -> float:
    """Chance that a variance exceeds another one by as much as it does, if both estimate the same; never below 0.

    Args:
        variance: the variance that may be too large.
        df: its degrees of freedom.
        other: the variance to compare with.
        other_freedom: its degrees of freedom; infinite if the variance is known exactly.
    """
    from scipy.special import chdtrc, fdtrc

    if not other:
        return 0.0 if variance else 1.0
    ratio = variance / other
    if math.isinf(other_freedom):
        return float(chdtrc(df, df * ratio))
    return float(fdtrc(df, other_freedom, ratio))


def safe_expm1(value: float) -> float:
    """``exp(value) - 1``, where a value above 50 counts as 50, so that nothing overflows."""
    return math.expm1(min(value, 50.0))
