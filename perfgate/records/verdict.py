"""What was decided about one metric of one case."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Name = Literal["pass", "regressed", "improved", "inconclusive", "invalid", "new", "stale"]


@dataclass(frozen=True)
class Verdict:
    """What was decided about one metric of one case.

    Attributes:
        change: relative, above 0 is worse; 0.05 is 5%. ``None`` where there was nothing to compare.
        low: lower bound of the change; a case regressed only where it is above the change that must be excluded.
        high: upper bound of the change; a case passes only where it is below the tolerance.
        smallest_detectable: the smallest change that could have been shown.
        reference: value held against, in the metric's unit.
        candidate: value measured now.
        launches: how many launches of the candidate the verdict rests on.
        tolerance: largest acceptable change.
        why: what else one should know, as a clause.
        expected: of an effect, as ``< 0.7x``; empty where a case is held against what it was.
        against: what the reference is, in a word.
        since: the versions that the reference is of, where the libraries are others now: ``transformers 5.23``.
        unknown: keys of its line in a run file that this Perfgate does not know.
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
    since: str = ""
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The object that ``compare --json`` and the run file hold."""
        found = asdict(self)
        return {**found.pop("unknown"), **found}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "Verdict":
        """Read a line that ``runfile`` has checked."""
        known = {key: line[key] for key in cls.__dataclass_fields__ if key in line and key != "unknown"}
        unknown = {key: value for key, value in line.items() if key not in known and key != "kind"}
        return cls(**known, unknown=unknown)
