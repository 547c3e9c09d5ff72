"""Improvements: a time that looks much better in the screen is measured again, and named where fresh duets show it.

Nothing of the chance of a false alarm is spent: whatever these duets tell, they fail no case.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from perfgate.gate.confirmation import LOOKS, Look, bounds, threshold_of, to_next_look
from perfgate.gate.duets import Duet, difference
from perfgate.gate.noise import UNKNOWN, Noise
from perfgate.gate.screening import Screen
from perfgate.gate.statistics import CLEAR_LEVEL

IMPROVING_LOOKS = LOOKS[:2]  # an improvement that so few duets do not show is small, or the machine varies much
UNSHOWN = "it looked faster, but duets vary too much to show it"


def promising(screens: Mapping[str, Screen], tolerances: Mapping[str, float]) -> list[str]:
    """The metrics that one duet shows to be better by more than their tolerance, where it is not enough to say so."""
    return [
        name
        for name, found in screens.items()
        if found.verdict != "improved" and math.log1p(found.change) < -math.log1p(tolerances[name])
    ]


@dataclass(frozen=True)
class Improvement:
    """The metrics of one case that look better, while fresh duets are taken to show it.

    Attributes:
        tolerances: their largest acceptable changes.
        looks: the last look at each; a metric that was decided stays so.
    """

    tolerances: Mapping[str, float]
    looks: Mapping[str, Look] = field(default_factory=dict)

    @property
    def undecided(self) -> list[str]:
        """Metrics for which more duets are wanted."""
        return [name for name in self.tolerances if name not in self.looks or not self.looks[name].decided]

    def wanted(self, duets: int) -> int:
        """How many more duets to the next look; 0 where all is decided."""
        if not self.undecided:
            return 0
        return to_next_look(IMPROVING_LOOKS, duets)

    def seen(self, duets: Mapping[str, Sequence[Duet]], noise: Noise = UNKNOWN, final: bool = False) -> "Improvement":
        """The same after a look at all fresh duets so far, by metric.

        Args:
            duets: those of each metric.
            noise: what is known of this machine.
            final: whether no more duets can be had.
        """
        looks = {name: look(duets.get(name, ()), self.tolerances[name], noise, final) for name in self.undecided}
        return replace(self, looks={**self.looks, **looks})


def look(duets: Sequence[Duet], tolerance: float, noise: Noise = UNKNOWN, final: bool = False) -> Look:
    """Judge one metric: improved where the upper 99.5% bound of the change is below a third of the tolerance.

    Where it is not, the screen's pass stands if these duets agree with it.

    Args:
        duets: fresh ones, without the screen's.
        tolerance: the largest acceptable change, 0.03 is 3%.
        noise: what is known of this machine.
        final: whether no more duets can be had.
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
