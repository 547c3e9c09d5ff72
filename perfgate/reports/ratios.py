"""Ratios of two settings' times and memory, with their 95% intervals over launches."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from perfgate.gate.statistics import t_quantile
from perfgate.records.launch import Launch
from perfgate.shared.metrics import metric

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Spread:
    """The logarithms of a metric over launches.

    Attributes:
        mean: their mean.
        error: the variance of the mean; 0 for an exact metric.
        df: the degrees of freedom; 0 for an exact metric.
    """

    mean: float
    error: float
    df: int


def spread(name: str, launches: Sequence[Launch]) -> Spread | None:
    """The spread of a metric; ``None`` if it has a single launch, or none."""
    return spread_of(name, logs(name, launches))


def spread_of(name: str, found: Sequence[float]) -> Spread | None:
    """The spread of a metric from its logarithms."""
    if not found:
        return None
    mean, df = statistics.fmean(found), len(found) - 1
    if metric(name).exact or metric(name).kind == "bytes":
        return Spread(mean, 0.0, 0)
    if not df:
        return None
    # `statistics.variance` uses fractions, which took a quarter of the time of a page of 10,000 cases.
    squares = math.fsum((value - mean) ** 2 for value in found)
    return Spread(mean, squares / df / len(found), df)


def compared(one: Spread, other: Spread) -> list[float]:
    """The ratio of two metrics and the ends of its interval (Welch); the ends are equal for exact metrics."""
    centre = math.exp(one.mean - other.mean)
    error = one.error + other.error
    if not error:
        return [centre] * 3
    # Welch: the degrees of freedom of a difference of two means with different variances.
    freedom = error**2 / sum(side.error**2 / side.df for side in (one, other) if side.df)
    reach = quantile(round(freedom, 1)) * math.sqrt(error)
    return [centre, centre * math.exp(-reach), centre * math.exp(reach)]


@cache
def quantile(freedom: float) -> float:
    """The quantile of Student's distribution for an interval."""
    return t_quantile((1 + CONFIDENCE) / 2, freedom)


def ratio(name: str, here: Sequence[float], there: Sequence[float]) -> list[float] | None:
    """The ratio to vanilla and the ends of its 95% interval over launches; the ends are equal for exact metrics.

    ``None`` if a side lacks the metric. With a single launch a noisy metric has no interval, and the ends are 0.

    Args:
        name: the metric.
        here: its logarithms from ``logs``.
        there: vanilla's logarithms.
    """
    if not here or not there:
        return None
    one, other = spread_of(name, here), spread_of(name, there)
    if one is None or other is None:
        return [math.exp(statistics.fmean(here) - statistics.fmean(there)), 0.0, 0.0]
    return compared(one, other)


def logs(name: str, launches: Sequence[Launch]) -> list[float]:
    """The logarithm of a metric in each valid launch; for a time in yardsticks if one ran beside every launch."""
    valid = [launch for launch in launches if not launch.invalid and name in launch.metrics]
    if metric(name).noisy:
        relative = [launch.in_yardsticks(name) for launch in valid]
        if all(relative):
            return [math.log(value) for value in relative if value]
    return [math.log(launch.value(name)) for launch in valid if launch.value(name) > 0]
