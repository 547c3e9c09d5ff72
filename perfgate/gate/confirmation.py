"""The confirmation: fresh duets of a suspect case, looked at after 3, 6, 10, 15 and 24, until all is decided.

Each look spends its own share of the chance of a false alarm (``AlphaBudget``), so looking often does not raise
the chance of a false alarm.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

from perfgate.gate.duets import Duet, difference
from perfgate.gate.looks import Look, Looks
from perfgate.gate.noise import UNKNOWN, Noise
from perfgate.gate.statistics import Difference, safe_expm1
from perfgate.gate.verdicts import DELTA_MIN_SHARE, TOO_FEW, name_of
from perfgate.records.verdict import Name

LOOKS = (3, 6, 10, 15, 24)
FEW_LOOKS = (10, 24)  # for cases where a wrong verdict costs more than duets: each look is one more chance to be wrong
CLEARING_LOOKS = 1  # the number of first looks that can clear a case, and fail it only by a huge effect
HUGE = 1.0  # a huge change is twice the time, which no difference between launches explains
FAILING_DUETS = 1 + LOOKS[CLEARING_LOOKS]  # the fewest duets that can fail a case, the screen's included


def threshold_of(tolerance: float) -> float:
    """The change that must be excluded before a case fails: a third of the tolerance."""
    return tolerance * DELTA_MIN_SHARE


def look(duets: Sequence[Duet], tolerance: float, share: float, noise: Noise = UNKNOWN, final: bool = False) -> Look:
    """Judge one metric by the duets so far.

    Nothing is decided between looks. The first look may clear a case, and fail it only if the lower bound is above
    twice the time: all of three duets may well be slow by chance if launches have two speeds, and their spread does
    not show it, but two such speeds are not that far apart.

    Args:
        duets: the confirmation's, without the screen's.
        tolerance: the largest acceptable change, 0.03 is 3%.
        share: chance of a false alarm at this look, as ``AlphaBudget.share`` gives it.
        noise: the noise of this machine.
        final: whether there can be no more duets.
    """
    count = len(duets)
    last = final or count >= LOOKS[-1]
    found = difference(duets, noise)
    if found is None:
        return Look("inconclusive" if last else "continue", count, why=TOO_FEW if last else "")
    threshold = threshold_of(tolerance)
    name: Name = "inconclusive"
    if count in LOOKS or count >= LOOKS[-1]:
        name = name_of(found, share, threshold, tolerance)
        if name == "regressed" and count in LOOKS[:CLEARING_LOOKS] and found.lower(share) <= math.log1p(HUGE):
            name = "inconclusive"
    return Look(
        "continue" if name == "inconclusive" and not last else name,
        count,
        *bounds(found, share),
        found.smallest_detectable(share, math.log1p(threshold)),
        remark(duets),
    )


def bounds(found: Difference, share: float) -> tuple[float, float, float]:
    """The change, its lower bound and its upper bound, all relative."""
    return safe_expm1(found.estimate), safe_expm1(found.lower(share)), safe_expm1(found.upper())


def remark(duets: Sequence[Duet]) -> str:
    """A warning if all duets come from one pair of servers: the interval then omits how servers differ."""
    if len({duet.servers for duet in duets}) > 1 or len(duets) < LOOKS[CLEARING_LOOKS]:
        return ""
    return "all duets came from one pair of servers, so what differs between servers is not in the interval"


def confirming(shares: Mapping[str, float], tolerances: Mapping[str, float], counts: Sequence[int] = LOOKS) -> Looks:
    """Begin the confirmation of a case's suspect metrics, before the first look at them.

    Args:
        shares: each suspect metric's chance of a false alarm at a look.
        tolerances: its largest acceptable change.
        counts: the numbers of duets at which to look, some of ``LOOKS``.
    """
    rules = {name: partial(look, tolerance=tolerances[name], share=share) for name, share in shares.items()}
    return Looks(counts, rules)
