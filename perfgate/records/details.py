"""What a launch knows beside its metrics, in typed groups. A run file holds all groups as one flat object."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Literal

CannotTell = Literal["cannot tell"]


@dataclass(frozen=True)
class Group:
    """Facts that belong together.

    Attributes:
        prefix: what the names of the facts begin with in a run file.
    """

    prefix: ClassVar[str] = ""


@dataclass(frozen=True)
class Span(Group):
    """When a launch took place.

    Attributes:
        began_s: seconds from the making of its stage.
        took_s: until it ended.
    """

    began_s: float | None = None
    took_s: float | None = None


@dataclass(frozen=True)
class Start(Group):
    """How the actor came to be.

    Attributes:
        launched: forked from its server, or spawned as a fresh interpreter.
        why_spawned: why a fork would not have reached the device.
    """

    launched: Literal["forked", "spawned"] | None = None
    why_spawned: str | None = None


@dataclass(frozen=True)
class Turns(Group):
    """How a timed launch took its steps.

    Attributes:
        first: which began: ``case`` or ``yardstick``; in a duet ``reference`` or ``candidate``.
        stepped: how the sides of a duet were stepped: ``in turn``, or ``one after the other``.
        injected: share of a step's time that was spent on top of it on purpose; 0.03 is 3%.
        burst_steps: steps of one turn, where a turn is a burst.
        confirms: of a duet that confirms a stored time: the commit of the baseline's state, which is the reference.
    """

    first: str | None = None
    stepped: str | None = None
    injected: float = 0.0
    burst_steps: int | None = None
    confirms: str = ""


@dataclass(frozen=True)
class Yardstick(Group):
    """The yardstick beside the steps.

    Attributes:
        kind: of the device that it was made for.
        version: numbers in units of another version are not compared; ``None`` where no yardstick ran.
        steps: how many it took beside each step or burst.
        parts_s: for each component its time beside each step or burst.
        missing: why none ran; empty where one did, or none was to.
    """

    prefix: ClassVar[str] = "yardstick_"

    kind: str = "cpu"
    version: int | None = None
    steps: int | None = None
    parts_s: Mapping[str, Sequence[float]] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True)
class DeviceSeen(Group):
    """What the driver of the device told from before the launch until after it.

    Attributes:
        device: UUID.
        others: processes on it that belong to nobody here; ``None`` where there is no driver to ask.
        slowdown_s: how long its clocks were held down, by reason; ``None`` for a reason that was seen and not counted.
    """

    device: str | None = None
    others: Sequence[int] | CannotTell | None = None
    slowdown_s: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Findings(Group):
    """What the program told of itself.

    Attributes:
        effective: the settings that are in force, by name.
        outcome: what it computed: ``tokens``, ``losses``, ``logits``.
        ledger: what is known by module path: of a dry run its work and memory, of the counters what they saw.
        measured_by_part_bytes: memory of weights, buffers and optimizer state.
        allocator: a summary of CUDA's caching allocator.
    """

    effective: Mapping[str, Any] = field(default_factory=dict)
    outcome: Mapping[str, Sequence[float]] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)
    measured_by_part_bytes: Mapping[str, int] = field(default_factory=dict)
    allocator: Mapping[str, Any] = field(default_factory=dict)


GROUPS: Mapping[str, type[Group]] = {
    "span": Span, "start": Start, "turns": Turns, "yardstick": Yardstick, "seen": DeviceSeen, "findings": Findings,
}  # fmt: skip


@dataclass(frozen=True)
class Details:
    """All groups of one launch.

    Attributes:
        output: the last lines that the actor printed, where it failed.
        more: what a run file holds that this Perfgate does not know.
    """

    span: Span = field(default_factory=Span)
    start: Start = field(default_factory=Start)
    turns: Turns = field(default_factory=Turns)
    yardstick: Yardstick = field(default_factory=Yardstick)
    seen: DeviceSeen = field(default_factory=DeviceSeen)
    findings: Findings = field(default_factory=Findings)
    output: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The flat object of a run file; facts that have their default are left out."""
        found = dict(self.more)
        for name in GROUPS:
            group: Group = getattr(self, name)
            values = {item: getattr(group, item.name) for item in fields(group)}
            found |= {group.prefix + item.name: value for item, value in values.items() if value != default_of(item)}
        return found | ({"output": self.output} if self.output else {})

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Details":
        """Read the object back; unknown keys go to ``more``."""
        left = dict(found)
        groups: dict[str, Any] = {}
        for name, group in GROUPS.items():
            keys = {item.name: group.prefix + item.name for item in fields(group)}
            groups[name] = group(**{item: left.pop(key) for item, key in keys.items() if key in left})
        return cls(**groups, output=left.pop("output", ""), more=left)


def default_of(item: Field[Any]) -> Any:
    """The default of a dataclass's field."""
    return item.default if item.default_factory is MISSING else item.default_factory()
