"""The verdict: the decision about one metric of one case."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Name = Literal["pass", "regressed", "improved", "inconclusive", "invalid", "new", "stale"]


@dataclass(frozen=True)
class Verdict:
    """The decision about one metric of one case.

    Attributes:
        change: the relative change; above 0 is worse, 0.05 is 5%. ``None`` if there was nothing to compare with.
        low: lower bound of the change. A case regressed only if this is above the change that must be excluded.
        high: upper bound of the change. A case passes only if this is below the tolerance.
        smallest_detectable: the smallest change that this measurement could have shown.
        reference: the value compared with, in the metric's unit. Where the change was estimated from pairs of steps or
            in yardsticks, it is the value of the reference beside this candidate.
        candidate: the value measured now.
        launches: number of the candidate's launches that the verdict is based on.
        tolerance: the largest acceptable change.
        why: a further explanation, as a clause.
        expected: the promise of an effect, such as ``< 0.7x``; empty for a case.
        against: a word for the reference.
        accepted: for a regression that was accepted beforehand: its limit, by whom and why, as a clause.
        since: the library versions of the reference if they differ from now: ``transformers 5.23``.
        way_since: the version of Perfgate since which the metric is measured differently, if the earlier value was not
            compared for that reason; else empty.
        unknown: keys of its line in a run file that this version of Perfgate does not know.
    """

    case: str
    metric: str
    verdict: Name
    change: float | None = None
    low: float | None = None
    high: float | None = None
    smallest_detectable: float | None = None
    reference: float | None = None
    candidate: float | None = None
    launches: int = 0
    tolerance: float | None = None
    why: str = ""
    expected: str = ""
    against: Literal["baseline", "reference", "vanilla"] = "baseline"
    accepted: str = ""
    since: str = ""
    way_since: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The object in ``compare --json`` and in run files."""
        return {**self.unknown, **{key: getattr(self, key) for key in self.__dataclass_fields__ if key != "unknown"}}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "Verdict":
        """Read a line that ``runfile`` has checked."""
        known = {key: line[key] for key in cls.__dataclass_fields__ if key in line and key != "unknown"}
        unknown = {key: value for key, value in line.items() if key not in known and key != "kind"}
        return cls(**known, unknown=unknown)
