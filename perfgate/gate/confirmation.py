"""The confirmation: fresh duets of a suspect case, looked at after 3, 6, 10, 15 and 24, until all is decided.

Each look spends its own share of the chance of a false alarm (``AlphaBudget``), so looking often does not raise
the chance of a false alarm.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from perfgate.gate.duets import Duet, difference
from perfgate.gate.noise import UNKNOWN, Noise
from perfgate.gate.statistics import Difference, safe_expm1
from perfgate.gate.verdicts import DELTA_MIN_SHARE, TOO_FEW, Comparison, name_of
from perfgate.records.verdict import Name, Verdict

LOOKS = (3, 6, 10, 15, 24)
CLEARING_LOOKS = 1  # the first looks that can clear a case, and fail it only by a huge effect
HUGE = 1.0  # a change that must be excluded for that: twice the time, which no difference between launches explains
FAILING_DUETS = 1 + LOOKS[CLEARING_LOOKS]  # with the screen's: the fewest that can fail a case


@dataclass(frozen=True)
class Look:
    """The judgement of one metric by the duets so far; all changes are relative, 0.03 is 3% slower.

    Attributes:
        verdict: ``continue`` where more duets are to decide.
        duets: how many there are.
        change: mean over the duets.
        low: lower bound of the change, wrong with the metric's share of alpha; ``None`` where nothing is known of the
            spread.
        high: upper bound of the change, with 99.5% confidence.
        smallest_detectable: the change that as many duets would have shown in 95 of 100 runs.
        why: what else one should know, as a clause.
    """

    verdict: Name | Literal["continue"]
    duets: int
    change: float | None = None
    low: float | None = None
    high: float | None = None
    smallest_detectable: float | None = None
    why: str = ""

    @property
    def decided(self) -> bool:
        """Whether no more duets are wanted for this metric."""
        return self.verdict != "continue"

    def told(self, held: Comparison) -> Verdict:
        """The verdict on a metric; one for which duets are still wanted is inconclusive."""
        name: Name = "inconclusive" if self.verdict == "continue" else self.verdict
        return held.verdict(name, self.why, self.change, self.low, self.high, self.smallest_detectable)


def threshold_of(tolerance: float) -> float:
    """The change that must be excluded before a case fails: a third of the tolerance."""
    return tolerance * DELTA_MIN_SHARE


def look(duets: Sequence[Duet], tolerance: float, share: float, noise: Noise = UNKNOWN, final: bool = False) -> Look:
    """Judge one metric by the duets so far.

    Nothing is decided between looks. The first look may clear a case, and fail it only where the lower bound is above
    twice the time: all of three duets may well be slow by chance where launches have two speeds, and their spread does
    not show it, but two such speeds are not that far apart.

    Args:
        duets: of the confirmation, without the screen's.
        tolerance: the largest acceptable change, 0.03 is 3%.
        share: chance of a false alarm at this look, as ``AlphaBudget.share`` gives it.
        noise: what is known of this machine.
        final: whether no more duets can be had.
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
    """Change, lower and upper bound, relative."""
    return safe_expm1(found.estimate), safe_expm1(found.lower(share)), safe_expm1(found.upper())


def remark(duets: Sequence[Duet]) -> str:
    """Warn where all duets come from one pair of servers, so that the interval leaves out how servers differ."""
    if len({duet.servers for duet in duets}) > 1 or len(duets) < LOOKS[CLEARING_LOOKS]:
        return ""
    return "all duets came from one pair of servers, so what differs between servers is not in the interval"


def to_next_look(looks: Sequence[int], duets: int) -> int:
    """The number of duets still to take before the next look; 0 after the last one.

    Args:
        looks: the numbers of duets at which a decision is looked for, ascending.
        duets: the number taken so far.
    """
    return next((count - duets for count in looks if count > duets), 0)


@dataclass(frozen=True)
class Confirmation:
    """One case whose suspect metrics are being decided; it goes on while any of them is undecided.

    Attributes:
        shares: each suspect metric's chance of a false alarm at a look.
        tolerances: its largest acceptable change.
        noise: what is known of this machine.
        looks: the last look at each metric; a metric that was decided stays so.
    """

    shares: Mapping[str, float]
    tolerances: Mapping[str, float]
    noise: Noise = UNKNOWN
    looks: Mapping[str, Look] = field(default_factory=dict)

    @property
    def undecided(self) -> list[str]:
        """Metrics for which more duets are wanted."""
        return [name for name in self.shares if name not in self.looks or not self.looks[name].decided]

    def wanted(self, duets: int) -> int:
        """How many more duets to the next look; 0 where all is decided."""
        if not self.undecided:
            return 0
        return to_next_look(LOOKS, duets)

    def seen(self, duets: Mapping[str, Sequence[Duet]], final: bool = False) -> "Confirmation":
        """The case after a look at all duets so far, by metric.

        Args:
            duets: those of each suspect metric.
            final: whether no more duets can be had.
        """
        looks = dict(self.looks)
        for name in self.undecided:
            looks[name] = look(duets.get(name, ()), self.tolerances[name], self.shares[name], self.noise, final)
        return replace(self, looks=looks)
