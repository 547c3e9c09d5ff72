"""The screen: one duet a case, which passes most cases and finds the suspects that need more duets."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from perfgate.gate.confirmation import LOOKS, threshold_of
from perfgate.gate.duets import Duet, difference
from perfgate.gate.noise import UNKNOWN, Noise
from perfgate.gate.statistics import CLEAR_LEVEL, errors_shown, safe_expm1, t_quantile
from perfgate.gate.verdicts import ROUNDING, Comparison
from perfgate.records.verdict import Name, Verdict

STEPS = 60
SUSPICIOUS_SHARE = 0.7 / 3
MISSED = 0.025


@dataclass(frozen=True)
class Screen:
    """The judgement of one metric by one duet; all changes are relative, 0.03 is 3% slower.

    Attributes:
        suspect: whether fresh duets must decide; if not, ``verdict`` stands.
        verdict: ``pass``, or ``improved`` if a single duet is enough to say so.
        change: the measured change.
        low: lower 99.5% bound, ``None`` if the machine's noise is not known.
        high: upper 99.5% bound.
        smallest_detectable: the slowdown that screen and confirmation together would find in 95 of 100 runs.
    """

    suspect: bool
    verdict: Name
    change: float
    low: float | None = None
    high: float | None = None
    smallest_detectable: float | None = None

    def told(self, held: Comparison) -> Verdict:
        """The final verdict of a case that is not suspect."""
        return held.verdict(self.verdict, "", self.change, self.low, self.high, self.smallest_detectable)


def suspicious(tolerance: float) -> float:
    """The change from which a case is suspect: 0.7% for a tolerance of 3%, and in proportion for others."""
    return tolerance * SUSPICIOUS_SHARE


def screen(duet: Duet, tolerance: float, share: float, noise: Noise = UNKNOWN) -> Screen:
    """Judge one metric by one duet.

    An improvement needs no further duets: it is reported if the machine's noise is known and chance is excluded at a
    suspect's share of alpha. A machine whose noise is not known shows the change and passes the case.

    Args:
        duet: the duet, of about 60 steps.
        tolerance: the largest acceptable change, 0.03 is 3%.
        share: chance of an error for this verdict, as ``AlphaBudget.share`` gives it.
        noise: the noise of this machine.
    """
    suspect = duet.difference > math.log1p(suspicious(tolerance)) + ROUNDING
    found = difference([duet], noise)
    if found is None:
        return Screen(suspect, "pass", safe_expm1(duet.difference))
    better = found.better(share) < -math.log1p(threshold_of(tolerance))
    return Screen(
        suspect,
        "improved" if better else "pass",
        safe_expm1(duet.difference),
        safe_expm1(found.lower(1 - CLEAR_LEVEL)),
        safe_expm1(found.upper()),
        safe_expm1(smallest_found(tolerance, share, noise)),
    )


def smallest_found(tolerance: float, share: float, noise: Noise) -> float:
    """The slowdown, as a logarithm, that the screen and the last look together miss in at most 5% of runs."""
    last = LOOKS[-1]
    df = noise.df + last - 1
    errors = errors_shown(share, df, 1 - MISSED)
    confirmed = math.log1p(threshold_of(tolerance)) + errors * noise.spread / math.sqrt(last)
    screened = math.log1p(suspicious(tolerance)) + t_quantile(1 - MISSED, noise.df) * noise.spread
    return max(confirmed, screened)


def suspects(screens: Mapping[str, Screen]) -> list[str]:
    """The metrics of a case that fresh duets must decide."""
    return [name for name, found in screens.items() if found.suspect]
