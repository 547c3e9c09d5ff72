"""Improvements: a time that looks much better in the screen is measured again, and reported if fresh duets confirm it.

This spends nothing of the alpha budget, because these duets can fail no case.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from perfgate.gate.confirmation import LOOKS, bounds, threshold_of
from perfgate.gate.duets import Duet, difference
from perfgate.gate.looks import Look, Looks
from perfgate.gate.noise import UNKNOWN, Noise
from perfgate.gate.screening import Screen
from perfgate.gate.statistics import CLEAR_LEVEL

IMPROVING_LOOKS = LOOKS[:2]  # an improvement that this few duets do not show is small, or the machine varies much
UNSHOWN = "it looked faster, but duets vary too much to show it"


def promising(screens: Mapping[str, Screen], tolerances: Mapping[str, float]) -> list[str]:
    """The metrics that look better by more than their tolerance, but not certainly so, after one duet."""
    return [
        name
        for name, found in screens.items()
        if found.verdict != "improved" and math.log1p(found.change) < -math.log1p(tolerances[name])
    ]


def improving(tolerances: Mapping[str, float]) -> Looks:
    """Begin the confirmation of metrics that look better, before the first look at them.

    Args:
        tolerances: the largest acceptable change of each.
    """
    rules = {name: partial(look, tolerance=tolerance) for name, tolerance in tolerances.items()}
    return Looks(IMPROVING_LOOKS, rules)


def look(duets: Sequence[Duet], tolerance: float, noise: Noise = UNKNOWN, final: bool = False) -> Look:
    """Judge one metric: improved if the upper 99.5% bound of the change is below a third of the tolerance.

    Otherwise the screen's pass stands if these duets agree with it.

    Args:
        duets: the fresh duets, without the screen's.
        tolerance: the largest acceptable change, 0.03 is 3%.
        noise: the noise of this machine.
        final: whether there can be no more duets.
    """
    count = len(duets)
    last = final or count >= IMPROVING_LOOKS[-1]
    found = difference(duets, noise)
    if found is None:
        return Look("pass" if last else "continue", count, why=UNSHOWN if last else "")
    shown = found.better(1 - CLEAR_LEVEL) < -math.log1p(threshold_of(tolerance))
    agrees = found.upper() < math.log1p(tolerance)
    unshown: str = UNSHOWN if last and not shown else ""
    verdict = "improved" if shown else "continue" if not last else "pass" if agrees else "inconclusive"
    return Look(verdict, count, *bounds(found, 1 - CLEAR_LEVEL), why=unshown)  # type: ignore[arg-type]
