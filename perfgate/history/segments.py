"""Change points of one series: the places where its level moved, with their certainty.

The series is the logarithm of a value, so a step is a ratio. Segments are found by ruptures' KernelCPD with a linear
kernel, which minimizes the sum of squares plus a penalty for each change (Celisse et al., JMLR 2018). A series without
a change exceeds the penalty with a chance of ``alpha``; it is the long-run variance of the series, times the square of
the bound on its largest contrast (Miller & Siegmund, Biometrics 1982).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit  # scipy.stats has them under other names, but takes a second to import

SHORTEST = 3  # sessions in a segment
FEWEST = 8  # sessions in a series; fewer do not show its spread
LAGS = 6  # sessions over which neighbours may be correlated
STEPS = 2  # the number of changes that the estimate of the spread leaves out
STRONGEST = 0.9  # the largest correlation of neighbours that is accepted
MOST = 1.3  # changes look like correlation, so it may widen the spread at most by this factor
LONGEST_RUN = 9.0  # the most neighbours that can count as one
LONG = 400  # sessions in a series from which a quick check is much cheaper than a search for segments
WINDOW = 3  # sessions on either side of a possible outlier
OUTLYING = 4.0  # robust standard deviations
MANY_OUTLIERS = 0.08  # a larger share of outliers belongs to the machine, such as one with two speeds

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Step:
    """A change of level.

    Attributes:
        at: the index of the first point of the new level.
        change: the relative change; above 0 the value is larger, 0.05 is 5%.
        low: lower bound of the change, with 95% confidence.
        high: upper bound of the change.
    """

    at: int
    change: float
    low: float
    high: float


def exact_steps(values: Sequence[float]) -> list[Step]:
    """The changes of an exact metric: every difference from the run before."""
    pairs = enumerate(pairwise(values), 1)
    found = [
        (index, after / before - 1 if before else (math.inf if after else 0.0)) for index, (before, after) in pairs
    ]
    return [Step(index, change, change, change) for index, change in found if change]


def steps(values: Sequence[float], alpha: float) -> list[Step]:
    """The changes of a metric that varies.

    Args:
        values: the value of each session, in order of time; above 0.
        alpha: the chance that a series without any change shows one. It is a share of the whole history's.
    """
    if len(values) < FEWEST:
        return []
    series = without_outliers(np.log(np.asarray(values, dtype=float)))
    halves = divisions(series)
    widths, runs = spread_and_run(series, halves)
    spread = float(widths)
    if spread == 0:
        return exact_steps(values)
    limit = bound(alpha, len(series), float(runs))
    if not may_change(series, widths, np.asarray(limit), halves) or not worth_segments(series / spread, limit):
        return []
    cuts = [0, *segments(series / spread, limit**2)]
    return [step(series[a:b], series[b:c], b, spread) for a, b, c in zip(cuts, cuts[1:], cuts[2:], strict=False)]


def segments(series: Values, penalty: float) -> list[int]:
    """The ends of the segments, the last of which is the length of the series."""
    import ruptures  # takes half a second

    found: Any = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(series.reshape(-1, 1))
    return [int(end) for end in found.predict(pen=penalty)]


def step(before: Values, after: Values, at: int, spread: float) -> Step:
    """A change between two segments, with its interval from the spread."""
    moved = float(after.mean() - before.mean())
    error = 1.96 * spread * math.sqrt(1 / len(before) + 1 / len(after))
    change, low, high = (math.expm1(value) for value in (moved, moved - error, moved + error))
    return Step(at, change, low, high)


def without_outliers(series: Values) -> Values:
    """Single points far from their neighbours are moved to the edge of what is usual, unless there are many.

    Points are the last axis here and below, so that many series of one length can be processed together.
    """
    padded = np.pad(series, [(0, 0)] * (series.ndim - 1) + [(WINDOW, WINDOW)], mode="reflect")
    middle = median_of([padded[..., place : place + series.shape[-1]] for place in range(2 * WINDOW + 1)])
    away = series - middle
    usual = OUTLYING * 1.4826 * np.median(np.abs(away), axis=-1, keepdims=True)
    outlying = np.abs(away) > usual
    moved = outlying & (usual > 0) & (outlying.mean(axis=-1, keepdims=True) <= MANY_OUTLIERS)
    return np.where(moved, middle + np.sign(away) * usual, series)


def median_of(arrays: Sequence[Values]) -> Values:
    """The median of an odd number of arrays, element by element.

    Among more than half of them the smallest and the largest cannot be the median, so both are dropped, until one is
    left. With few arrays that is a third of the time of ``numpy.median``.
    """
    first = len(arrays) // 2 + 2
    kept, rest = list(arrays[:first]), list(arrays[first:])
    while len(kept) > 1:
        for place in range(1, len(kept)):
            kept[0], kept[place] = np.minimum(kept[0], kept[place]), np.maximum(kept[0], kept[place])
        for place in range(1, len(kept) - 1):
            kept[place], kept[-1] = np.minimum(kept[place], kept[-1]), np.maximum(kept[place], kept[-1])
        kept = [*kept[1:-1], *rest[:1]]
        rest = rest[1:]
    return kept[0]


def long_run_spread(series: Values) -> Values:
    """The square root of the long-run variance: the spread of a mean of ``n`` points is this over ``sqrt(n)``.

    It follows from half the mean squares of differences between points 1, 2, ... apart. They grow with the distance
    as far as neighbours depend on each other. The largest differences are left out, as many as two changes touch, and
    the rest is scaled as if it were Gaussian, so changes do not pass for spread.
    """
    lags = range(1, min(LAGS, series.shape[-1] // 8) + 1)
    halves = [half_mean_square(np.abs(series[..., lag:] - series[..., :-lag]), STEPS * lag) for lag in lags]
    far = np.maximum(np.mean(halves[-2:], axis=0), halves[0])
    dependent = [np.maximum(far - half, 0.0) for half in halves[:-2]]
    return np.asarray(np.sqrt(np.maximum(far + 2 * sum(dependent), halves[0])))


@dataclass(frozen=True)
class Divisions:
    """All divisions of a series into two parts.

    Attributes:
        ends: the length of the first part.
        before: its mean.
        after: the mean of the other part.
        contrasts: the difference of both, in the spread of a mean.
    """

    ends: NDArray[np.int64]
    before: Values
    after: Values
    contrasts: Values


def spread_and_run(series: Values, halves: Divisions) -> tuple[Values, Values]:
    """The spread as in ``long_run_spread``, and the number of neighbours that count as one; 1 if they are independent.

    Where neighbours depend on each other beyond doubt, the series is taken for an autoregressive one of the first
    order: its spread follows from one correlation, and varies less than the sum over several distances.
    """
    count = series.shape[-1]
    usual = long_run_spread(series)
    variance, correlation = neighbours(series, halves)
    run = (1 + correlation) / (1 - correlation)
    depends = correlation > 2 / math.sqrt(count)
    spread = np.where(depends, np.minimum(np.sqrt(variance * run), MOST * usual), usual)
    return np.asarray(spread), np.where(depends, np.minimum(run, LONGEST_RUN), 1.0)


def neighbours(series: Values, halves: Divisions) -> tuple[Values, Values]:
    """Variance and correlation of neighbours around the levels of the best division into two parts.

    A change would otherwise look like correlation. The bias of a correlation of few points is taken out (Kendall,
    Biometrika 1954).
    """
    count = series.shape[-1]
    best = np.argmax(halves.contrasts, axis=-1)[..., None]
    levels = [np.take_along_axis(side, best, axis=-1) for side in (halves.before, halves.after)]
    rest = series - np.where(np.arange(count) < halves.ends[best], *levels)
    squares = np.sum(rest**2, axis=-1)
    products = np.sum(rest[..., 1:] * rest[..., :-1], axis=-1)
    found = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0)
    return squares / (count - 4), np.clip(found + (1 + 4 * found) / count, 0, STRONGEST)


def divisions(series: Values) -> Divisions:
    """All divisions of a series into two parts of at least the shortest length."""
    count = series.shape[-1]
    ends = np.arange(SHORTEST, count - SHORTEST + 1)
    sums = np.cumsum(series, axis=-1)
    earlier = sums[..., SHORTEST - 1 : count - SHORTEST]
    before, after = earlier / ends, (sums[..., -1:] - earlier) / (count - ends)
    return Divisions(ends, before, after, np.abs(before - after) * np.sqrt(ends * (count - ends) / count))


def half_mean_square(differences: Values, leave_out: int) -> Values:
    """Half the mean square of differences without the largest ones."""
    count = differences.shape[-1]
    leave_out = min(leave_out, count // 4)
    kept = np.partition(differences, count - leave_out - 1, axis=-1)[..., : count - leave_out]
    return np.asarray(np.mean(kept**2, axis=-1) / 2 / kept_share(leave_out, count))


@cache
def kept_share(left_out: int, count: int) -> float:
    """The share of a Gaussian's variance that stays when the largest deviations are left out."""
    if not left_out:
        return 1.0
    share = left_out / count
    edge = -float(ndtri(share / 2))
    return float(1 - 2 * edge * density(edge) / (1 - share))


def density(value: float) -> float:
    """The Gaussian's density."""
    return math.exp(-(value**2) / 2) / math.sqrt(2 * math.pi)


def bound(alpha: float, count: int, run: float = 1.0) -> float:
    """The bound on the largest contrast of a series without a change, exceeded with a chance of ``alpha``.

    The contrast is measured in the spread. The spread is estimated too, so the Gaussian's quantile is replaced by
    Student's.

    Args:
        alpha: the chance.
        count: the length of the series.
        run: the number of neighbours that count as one. With more of them, the mean of a few points varies less than
            the spread says, so their contrasts cannot be large.
    """
    return bound_of(alpha, count, math.floor(4 * run) / 4)


@cache
def bound_of(alpha: float, count: int, run: float) -> float:
    """``bound``, for rounded values of ``run``, so that the cache is useful."""
    edge = min(SHORTEST * run / count, 0.4)
    width = 2 * math.log((1 - edge) / edge)
    low, high = 1.5, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        chance = density(middle) * ((middle - 1 / middle) * width + 4 / middle)
        low, high = (middle, high) if chance > alpha else (low, middle)
    return -float(stdtrit(max(count / 3 - 1, 3), float(ndtr(-high))))


def may_change(series: Values, spread: Values, limit: Values, halves: Divisions) -> NDArray[np.bool_]:
    """Whether neighbouring windows of any length differ by enough to look closer.

    Any change above the penalty shows at least half of its square in windows of 3, 6, 12, ... points. This check is
    much faster than a search for segments, and most series have no change.
    """
    count = series.shape[-1]
    sums = np.cumsum(np.pad(series, [(0, 0)] * (series.ndim - 1) + [(1, 0)]), axis=-1)
    found = np.zeros(series.shape[:-1], dtype=bool)
    length = SHORTEST
    while 2 * length <= count:
        means = (sums[..., length:] - sums[..., :-length]) / length
        contrast = np.max(np.abs(means[..., length:] - means[..., :-length]), axis=-1)
        found |= (contrast / spread * math.sqrt(length / 2)) ** 2 >= limit**2 / 2
        length *= 2
    # Long segments of unequal length: all points before against all points after.
    return np.asarray(found | (np.max(halves.contrasts, axis=-1) / spread >= limit))


def worth_segments(series: Values, limit: float) -> bool:
    """Whether neighbouring windows of any two lengths differ by nearly the limit; always so for a short series.

    Each length is at most 1.5 times the one before, so any change above the penalty shows two thirds of its square.
    This check takes a tenth of the time of a search for segments.

    Args:
        series: the series, scaled to a spread of 1.
        limit: the limit of a contrast.
    """
    count = len(series)
    if count < LONG:
        return True
    sums = np.concatenate([[0.0], np.cumsum(series)])
    lengths = [SHORTEST]
    while 1.5 * lengths[-1] < count - SHORTEST:
        lengths.append(3 * lengths[-1] // 2)
    means = {length: (sums[length:] - sums[:-length]) / length for length in lengths}
    for left in lengths:
        for right in (length for length in lengths if left + length <= count):
            apart = means[left][: count - left - right + 1] - means[right][left:]
            if np.max(apart**2) * left * right / (left + right) >= limit**2 * 2 / 3:
                return True
    return False
