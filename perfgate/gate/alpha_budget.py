"""The chance of a false alarm that a suite may spend (alpha), divided among its suspects."""

import math
from dataclasses import dataclass, replace

from perfgate.gate.confirmation import LOOKS
from perfgate.gate.verdicts import ALPHA

EARLY_SUSPECTS = 1 / 3
EARLY_ALPHA = 0.9
FAILING_LOOKS = len(LOOKS)  # the first look can fail a case only by a huge effect, and still has its share


@dataclass(frozen=True)
class AlphaBudget:
    """Shares of alpha for the suspects of one suite, in the order in which they come.

    A screen on data of its own finds the suspects, so only they need a share. When nothing changed, about a quarter of
    all pairs are suspected: the first third divides nine tenths of alpha, whoever comes later divides the rest. However
    many suspects there are, their shares together are at most alpha, and so is the suite's chance of a false alarm,
    however the looks and the metrics of a case are correlated (Boole's inequality).

    Attributes:
        pairs: number of gated noisy case-metric pairs in the whole tier, before any were deselected or sharded away.
        suspects: the number of suspects found so far.
        parts: number of processes (workers times shards) that count suspects separately; the early shares are divided
            among them.
        alpha: chance of a false alarm in the suite.
    """

    pairs: int
    suspects: int = 0
    parts: int = 1
    alpha: float = ALPHA

    @property
    def early(self) -> int:
        """The number of suspects in the whole suite that get an early share."""
        return max(1, math.ceil(EARLY_SUSPECTS * self.pairs))

    @property
    def share(self) -> float:
        """The chance of a false alarm that the next suspect may spend at each look that can fail it."""
        later = self.pairs - self.early
        if later <= 0:
            return self.alpha / FAILING_LOOKS
        if (self.suspects + 1) * self.parts <= self.early:
            return self.alpha * EARLY_ALPHA / self.early / FAILING_LOOKS
        return self.alpha * (1 - EARLY_ALPHA) / later / FAILING_LOOKS

    def spent(self, suspects: int = 1) -> "AlphaBudget":
        """The budget after this many more suspects."""
        return replace(self, suspects=self.suspects + suspects)
