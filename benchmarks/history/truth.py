"""Tests change points against ground truth: how often an unchanged series shows one, and how soon a step is found.

python -m benchmarks.history.truth [--series 150] [--points 200]
"""

import argparse
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from perfgate.history.changes import ALPHA
from perfgate.history.segments import steps

Values = NDArray[np.float64]
STEP = 0.03
NEAR = 15  # the largest distance between a step and the place where it was found, in points
LOOKS = (5, 10, 20, 30, 40)  # points after the step at which one looks


def correlated(generator: np.random.Generator, count: int, spread: float, memory: float) -> Values:
    """An autoregressive series of the first order."""
    shocks = generator.standard_normal(count)
    found = [shocks[0]]
    for shock in shocks[1:]:
        found.append(memory * found[-1] + math.sqrt(1 - memory**2) * shock)
    return spread * np.asarray(found)


KINDS: dict[str, Callable[[np.random.Generator, int], Values]] = {
    "Gaussian, sd 1%": lambda generator, count: correlated(generator, count, 0.01, 0.0),
    "Gaussian, sd 2%": lambda generator, count: correlated(generator, count, 0.02, 0.0),
    "two speeds, 6% apart, a quarter slow, sd 0.3%": lambda generator, count: (
        correlated(generator, count, 0.003, 0.0) + 0.06 * (generator.random(count) < 0.25)
    ),
    "autocorrelated 0.5, sd 2%": lambda generator, count: correlated(generator, count, 0.02, 0.5),
    "autocorrelated 0.8, sd 2%": lambda generator, count: correlated(generator, count, 0.02, 0.8),
    "outliers of 30% in 3 of 100, sd 1%": lambda generator, count: (
        correlated(generator, count, 0.01, 0.0)
        + np.where(generator.random(count) < 0.03, generator.exponential(0.3, count), 0.0)
    ),
}


def main() -> None:
    """Print a table with a row for each kind of series, for one series and for 30,000 under one chance."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=150)
    parser.add_argument("--points", type=int, default=200)
    options = parser.parse_args()
    print(
        "| series | looked at | false in 1,000 points | 3% found in 10 points | in 40 points |\n|---|---|---|---|---|"
    )
    for many in (1, 30_000):
        for name, draw in KINDS.items():
            alpha = ALPHA / many
            false, soon, late = judged(draw, alpha, options.series, options.points)
            print(f"| {name} | {many:,} | {false:.2f} | {soon:.0%} | {late:.0%} |", flush=True)


def judged(
    draw: Callable[[np.random.Generator, int], Values], alpha: float, series: int, points: int
) -> tuple[float, float, float]:
    """False changes in 1,000 points, and the shares of steps that were found within 10 and within 40 points."""
    generator = np.random.default_rng(0)
    false = sum(len(steps(list(np.exp(draw(generator, points))), alpha)) for _ in range(series))
    soon = late = 0
    for _ in range(series):
        values = draw(generator, points)
        at = int(generator.integers(points // 4, points - max(LOOKS)))
        values[at:] += math.log1p(STEP)
        first = next((look for look in LOOKS if found_near(values[: at + look], at, alpha)), None)
        soon += first is not None and first <= 10
        late += first is not None
    return 1000 * false / series / points, soon / series, late / series


def found_near(values: Values, at: int, alpha: float) -> bool:
    """Whether a change is found near a position."""
    return any(abs(found.at - at) <= NEAR for found in steps(list(np.exp(values)), alpha))


if __name__ == "__main__":
    main()
