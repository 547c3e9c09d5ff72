"""Power: apply the rule to recorded duets in many random orders, and count how often it sees a known slowdown."""

import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from perfgate.gate.confirmation import confirming
from perfgate.gate.duets import Duet
from perfgate.gate.noise import Noise
from perfgate.gate.screening import screen

NAME = "step_time_s"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Detection:
    """The results of applying the rule to many random draws from the duets of one case.

    Attributes:
        slowdown: the share of a step's time that was added to the candidate; 0.03 is 3%.
        recorded: the number of recorded duets to draw from.
        draws: the number of draws.
        regressed: the share of draws that end as a regression; without a slowdown these are false alarms.
        undecided: share of draws that end inconclusive.
        duets: mean number of duets until the verdict, the screen's included.
        suspect_duets: the same mean over the draws with a suspect screen; 0 if there were none.
        smallest_detectable: the median over the draws that have one; ``None`` if none has.
    """

    slowdown: float
    recorded: int
    draws: int
    regressed: float
    undecided: float
    duets: float
    suspect_duets: float
    smallest_detectable: float | None


def detect(
    duets: Sequence[Duet], slowdown: float, tolerance: float, share: float, noise: Noise, draws: int, seed: int = 0
) -> Detection:
    """Apply the rule to recorded duets many times, in random order.

    Args:
        duets: the duets of one case, with one slowdown.
        slowdown: share of a step's time that was added to the candidate.
        tolerance: largest acceptable change.
        share: chance of a false alarm at a look, as ``AlphaBudget.share`` gives it.
        noise: the noise of the machine.
        draws: how often to shuffle the duets.
        seed: the seed for shuffling.
    """
    source = random.Random(seed)
    ends = [drawn(source.sample(duets, len(duets)), tolerance, share, noise) for _ in range(draws)]
    seen = [end.smallest for end in ends if end.smallest is not None]
    suspects = [end.duets for end in ends if end.duets > 1]
    return Detection(
        slowdown,
        len(duets),
        draws,
        sum(end.verdict == "regressed" for end in ends) / draws,
        sum(end.verdict == "inconclusive" for end in ends) / draws,
        statistics.fmean(end.duets for end in ends),
        statistics.fmean(suspects) if suspects else 0.0,
        statistics.median(seen) if seen else None,
    )


@dataclass(frozen=True)
class End:
    """The end of one application of the rule."""

    verdict: str
    duets: int
    smallest: float | None


def drawn(duets: Sequence[Duet], tolerance: float, share: float, noise: Noise) -> End:
    """Apply the rule to duets in this order: the first one screens, the others confirm as long as they last."""
    screened = screen(duets[0], tolerance, share, noise)
    if not screened.suspect:
        return End(screened.verdict, 1, screened.smallest_detectable)
    confirmation = confirming({NAME: share}, {NAME: tolerance})
    used = 0
    while wanted := confirmation.wanted(used):
        final = 1 + used + wanted > len(duets)
        used = len(duets) - 1 if final else used + wanted
        confirmation = confirmation.seen({NAME: duets[1 : 1 + used]}, noise, final)
    found = confirmation.looks[NAME]
    return End(found.verdict, 1 + used, found.smallest_detectable)


def upper_bound(events: int, trials: int) -> float:
    """One-sided 95% upper bound on a share, after ``events`` in ``trials`` (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv

    return 1.0 if events >= trials else float(betaincinv(events + 1, trials - events, CONFIDENCE))
