"""Finds a few slow steps among many unchanged ones, such as every fourth; a median over steps does not show them."""

import math
import statistics
from collections.abc import Iterable

from perfgate.gate.wording import UNTOLD, percent
from perfgate.records.clocks import STEP
from perfgate.records.launch import Launch

MUCH = math.log(1.5)  # a step counts as slow if it is this far above the median
ERRORS = 2.4  # in standard errors: 6 slow steps are enough if no step is as much faster


def slow_steps(pairs: Iterable[tuple[Launch, Launch]], tolerance: float) -> str:
    """A clause on a minority of steps that became slower; empty if there are none, or they hardly matter.

    Noise makes steps slow on either side equally often, so the number of equally fast steps is subtracted.

    Args:
        pairs: reference and candidate of each duet, on the clock that was chosen for them.
        tolerance: the relative growth of the total time above which the slow steps matter.
    """
    steps = [
        (beside, step)
        for before, now in pairs
        for beside, step in zip(before.steps(STEP), now.steps(STEP), strict=False)
    ]
    ratios = [math.log(step) - math.log(beside) for beside, step in steps]
    middle = statistics.median(ratios)
    slow = sum(ratio > middle + MUCH for ratio in ratios)
    fast = sum(ratio < middle - MUCH for ratio in ratios)
    whole = sum(step for _, step in steps) / sum(beside for beside, _ in steps) - 1
    if slow - fast < ERRORS * math.sqrt(slow + fast) or not slow or whole <= tolerance:
        return ""
    return f"{UNTOLD} {slow} of {len(steps)} steps became slower than the others: all together took {percent(whole)}"
