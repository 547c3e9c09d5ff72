"""Numbers that were made by other versions of the libraries: how far they may differ, and since when they do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perfgate.records.verdict import Verdict
from perfgate.shared.metric import Metric

TOLERANCE = 0.01
SHOWN = 2
# Whose versions decide what a step does; any other package that moved is taken for a part of the change.
DECIDING = ("torch", "transformers", "accelerate", "peft", "bitsandbytes", "torchao")


@dataclass(frozen=True)
class Upgrade:
    """The way from the versions that a number is held against to those that were measured.

    Attributes:
        since: the versions before, in words; empty where both sides have the same.
        tolerance: largest acceptable change of what is counted; 0.01 is 1%. An upgrade moves much by a little.
    """

    since: str = ""
    tolerance: float = TOLERANCE

    def limit(self, what: Metric, tolerance: float) -> float:
        """The largest acceptable change of a metric, which without an upgrade is ``tolerance``.

        A host sync is not one of many that hardly count: one more makes a GPU run dry at one more place.
        """
        return max(tolerance, self.tolerance) if self.since and not what.each_counts else tolerance

    def told(self, verdict: Verdict) -> Verdict:
        """The same verdict, which says what it is held against if it is held against anything."""
        held = verdict.reference is not None or verdict.verdict in ("regressed", "stale")
        return replace(verdict, since=self.since) if held else verdict


SAME = Upgrade()


def differing(before: Mapping[str, str], now: Mapping[str, str], names: Sequence[str] = DECIDING) -> str:
    """The libraries whose version before is another, in words; empty where all are the same.

    A deciding library comes first, and stands for all others. One that either side lacks, or of which nothing is
    known, is left out.

    Args:
        before: versions by name.
        now: versions by name.
        names: the libraries that count.
    """
    moved = [name for name in names if before.get(name) and now.get(name) and before[name] != now[name]]
    told = [name for name in DECIDING if name in moved] or moved[:SHOWN]
    return ", ".join(f"{name} {before[name].partition('+')[0]}" for name in told)
