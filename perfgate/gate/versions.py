"""Comparisons across library versions: the tolerance for them, and the words for the difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perfgate.records.verdict import Verdict
from perfgate.shared.metric import Metric

TOLERANCE = 0.01
SHOWN = 2
# The versions of these decide what a step does; a change of any other package counts as part of the change under test.
DECIDING = ("torch", "transformers", "accelerate", "peft", "bitsandbytes", "torchao")


@dataclass(frozen=True)
class Upgrade:
    """The step from the reference's library versions to the candidate's.

    Attributes:
        since: the reference's versions, in words; empty if both sides have the same.
        tolerance: the largest acceptable change of counted metrics; 0.01 is 1%. An upgrade moves many of them a little.
    """

    since: str = ""
    tolerance: float = TOLERANCE

    def limit(self, what: Metric, tolerance: float) -> float:
        """The largest acceptable change of a metric; without an upgrade it is ``tolerance``.

        An upgrade gives no extra tolerance for host syncs, because each one lets a GPU run dry at one more place.
        """
        return max(tolerance, self.tolerance) if self.since and not what.each_counts else tolerance

    def told(self, verdict: Verdict) -> Verdict:
        """Add the reference's versions to a verdict that compares with something."""
        held = verdict.reference is not None or verdict.verdict in ("regressed", "stale")
        return replace(verdict, since=self.since) if held else verdict


SAME = Upgrade()


def differing(before: Mapping[str, str], now: Mapping[str, str], names: Sequence[str] = DECIDING) -> str:
    """The libraries whose versions differ, with their earlier versions, in words; empty if all are the same.

    If a deciding library differs, only the deciding ones are named. Libraries without a known version on both sides
    are ignored.

    Args:
        before: versions by name.
        now: versions by name.
        names: the libraries to compare.
    """
    moved = [name for name in names if before.get(name) and now.get(name) and before[name] != now[name]]
    told = [name for name in DECIDING if name in moved] or moved[:SHOWN]
    return ", ".join(f"{name} {before[name].partition('+')[0]}" for name in told)
