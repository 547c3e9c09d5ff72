"""The two clocks for the times of a launch: wall time and processor time.

Wall time includes waiting for a core that another process has; processor time does not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from perfgate.shared.metrics import metric

Clock = Literal["wall", "processor"]
Value = float | list[float]
PREFIX = "process_"
STEP = "step_time_s"
WAITED = 0.03  # wall time is the better clock as long as other processes take at most this share of the core
CONTENDED = 1 / 3  # wall time cannot be used if other processes take more than this share of the core


@dataclass(frozen=True)
class Times:
    """The times of a launch on one clock.

    Attributes:
        metrics: metrics by name, in seconds, including rates of the device that were measured beside the steps.
        yardstick_s: the yardstick's time beside each step; ``None`` if no yardstick ran.
        parts_s: the times of each of the yardstick's components.
    """

    metrics: Mapping[str, Value]
    yardstick_s: Sequence[float] | None = None
    parts_s: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The object in a launch's line of the run file."""
        parts = {part: list(spans) for part, spans in self.parts_s.items()}
        return {"metrics": dict(self.metrics), "yardstick_s": self.yardstick_s, "yardstick_parts_s": parts}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Times":
        """Read what ``to_json`` wrote."""
        return cls(found["metrics"], found.get("yardstick_s"), found.get("yardstick_parts_s") or {})


def is_clocked(name: str) -> bool:
    """Whether a metric is a time that can fail a case, so that its clock matters."""
    found = metric(name)
    return found.kind == "noisy" and found.unit == "s"


def by_clock(metrics: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, Value]]:
    """Split an actor's metrics into those in wall time and those in processor time, both by the same names.

    An actor puts ``process_`` before the name of a metric in processor time; for the step time it is
    ``process_time_s``.
    """
    told = {twin_of(name): value for name, value in metrics.items() if name.startswith(PREFIX)}
    processor = {name: value for name, value in told.items() if name in metrics and is_positive(value)}
    wall = {name: v for name, v in metrics.items() if not name.startswith(PREFIX) or twin_of(name) not in metrics}
    return wall, processor


def twin_of(name: str) -> str:
    """The name in wall time of a metric in processor time."""
    return STEP if name == f"{PREFIX}time_s" else name.removeprefix(PREFIX)


def is_positive(value: Value) -> bool:
    """Whether a value, or each value of a list, is above 0."""
    return min(value) > 0 if isinstance(value, list) else value > 0
