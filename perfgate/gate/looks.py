"""Looks at fresh duets: metrics of one case are judged repeatedly as duets come in, until all are decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from perfgate.gate.duets import Duet
from perfgate.gate.noise import UNKNOWN, Noise
from perfgate.gate.verdicts import Comparison
from perfgate.records.verdict import Name, Verdict


@dataclass(frozen=True)
class Look:
    """The judgement of one metric by the duets so far; all changes are relative, 0.03 is 3% slower.

    Attributes:
        verdict: the verdict so far; ``continue`` if more duets must decide.
        duets: the number of duets so far.
        change: mean over the duets.
        low: lower bound of the change, wrong with the metric's share of alpha; ``None`` if nothing is known of the
            spread.
        high: upper bound of the change, with 99.5% confidence.
        smallest_detectable: the change that as many duets would have shown in 95 of 100 runs.
        why: a further remark, as a clause.
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
        """Whether this metric needs no more duets."""
        return self.verdict != "continue"

    def told(self, held: Comparison) -> Verdict:
        """The verdict on a metric; ``inconclusive`` if it still needs duets."""
        name: Name = "inconclusive" if self.verdict == "continue" else self.verdict
        return held.verdict(name, self.why, self.change, self.low, self.high, self.smallest_detectable)


class Rule(Protocol):
    """Judges one metric by the duets so far. ``final`` means that there can be no more duets."""

    def __call__(self, duets: Sequence[Duet], *, noise: Noise, final: bool) -> Look: ...


@dataclass(frozen=True)
class Looks:
    """The metrics of one case that are being decided.

    Attributes:
        counts: the numbers of duets at which the metrics are judged, ascending.
        rules: the rule by which each metric is judged.
        looks: the last look at each metric; a decided metric stays decided.
    """

    counts: Sequence[int]
    rules: Mapping[str, Rule]
    looks: Mapping[str, Look] = field(default_factory=dict)

    @property
    def undecided(self) -> list[str]:
        """The metrics that need more duets."""
        return [name for name in self.rules if name not in self.looks or not self.looks[name].decided]

    def wanted(self, duets: int) -> int:
        """The number of duets until the next look; 0 if all metrics are decided."""
        return to_next_look(self.counts, duets) if self.undecided else 0

    def seen(self, duets: Mapping[str, Sequence[Duet]], noise: Noise = UNKNOWN, final: bool = False) -> "Looks":
        """The state after a look at all fresh duets so far.

        Args:
            duets: all fresh duets by metric.
            noise: the noise of this machine.
            final: whether there can be no more duets.
        """
        looks = {name: self.rules[name](duets.get(name, ()), noise=noise, final=final) for name in self.undecided}
        return replace(self, looks={**self.looks, **looks})


def to_next_look(looks: Sequence[int], duets: int) -> int:
    """The number of duets still to take before the next look; 0 after the last one.

    Args:
        looks: the numbers of duets at which to look, ascending.
        duets: the number taken so far.
    """
    return next((count - duets for count in looks if count > duets), 0)
