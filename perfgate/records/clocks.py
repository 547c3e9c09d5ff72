"""The two clocks on which the times of a launch are known: the wall's, and the processor's.

Waiting for a core that another process has is in a time on the wall and not in one on the processor.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from perfgate.shared.metrics import metric

Clock = Literal["wall", "processor"]
Value = float | list[float]
PREFIX = "process_"
STEP = "step_time_s"
WAITED = 0.03  # share of the core that others may take while times on the wall are still the better ones
CONTENDED = 1 / 3  # share from which on times on the wall say nothing


@dataclass(frozen=True)
class Times:
    """The times of a launch on one clock.

    Attributes:
        metrics: by name, in seconds; rates of the device beside the steps are among them.
        yardstick_s: the yardstick's time beside each step; ``None`` where none ran.
        parts_s: that of each of its components.
    """

    metrics: Mapping[str, Value]
    yardstick_s: Sequence[float] | None = None
    parts_s: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """As a launch's line in the run file holds it."""
        parts = {part: list(spans) for part, spans in self.parts_s.items()}
        return {"metrics": dict(self.metrics), "yardstick_s": self.yardstick_s, "yardstick_parts_s": parts}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Times":
        """Read what ``to_json`` wrote."""
        return cls(found["metrics"], found.get("yardstick_s"), found.get("yardstick_parts_s") or {})


def is_clocked(name: str) -> bool:
    """Whether a metric is a time that can fail a case, so that it matters which clock it was read from."""
    found = metric(name)
    return found.kind == "noisy" and found.unit == "s"


def by_clock(metrics: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
    """Split what an actor told into what it read on the wall and, under the same names, on the processor.

    An actor puts ``process_`` before the name of a time on the processor; a step's is ``process_time_s``.
    """
    told = {twin_of(name): value for name, value in metrics.items() if name.startswith(PREFIX)}
    processor = {name: value for name, value in told.items() if name in metrics and is_positive(value)}
    wall = {name: v for name, v in metrics.items() if not name.startswith(PREFIX) or twin_of(name) not in metrics}
    return wall, processor


def twin_of(name: str) -> str:
    """The name on the wall of a time on the processor."""
    return STEP if name == f"{PREFIX}time_s" else name.removeprefix(PREFIX)


def is_positive(value: Value) -> bool:
    """Whether all of it is above 0, as a time is."""
    return min(value) > 0 if isinstance(value, list) else value > 0
