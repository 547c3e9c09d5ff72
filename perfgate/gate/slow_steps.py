"""Steps that became slower while most did not, as every fourth one: a median over steps does not tell them."""

import math
import statistics
from collections.abc import Iterable

from perfgate.gate.wording import UNTOLD, percent
from perfgate.records.clocks import STEP
from perfgate.records.launch import Launch

MUCH = math.log(1.5)  # how far a step is from the median to be one of them
ERRORS = 2.4  # standard errors: 6 slow steps where no step is as much faster


def slow_steps(pairs: Iterable[tuple[Launch, Launch]], tolerance: float) -> str:
    """A clause on steps that became slower beside the others; empty where there are none, or they hardly matter.

    Steps of a noisy machine are as often slow on the one side as on the other, so these are taken off.

    Args:
        pairs: reference and candidate of each duet, on the clock that they are judged on.
        tolerance: the growth of all steps together that matters.
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
