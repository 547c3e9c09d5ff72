"""Further facts about a launch beside its metrics, in typed groups. A run file holds them all as one flat object."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any, ClassVar, Literal

CannotTell = Literal["cannot tell"]


@dataclass(frozen=True)
class Group:
    """Facts that belong together.

    Attributes:
        prefix: the beginning of the facts' names in a run file.
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
    """The start of the actor.

    Attributes:
        launched: whether it was forked from its server, or spawned as a fresh interpreter.
        why_spawned: the reason why a fork would not have reached the device.
    """

    launched: Literal["forked", "spawned"] | None = None
    why_spawned: str | None = None


@dataclass(frozen=True)
class Turns(Group):
    """The steps of a timed launch, and how they were taken.

    Attributes:
        first: the actor that took the first step: ``case`` or ``yardstick``; in a duet ``reference`` or ``candidate``.
        stepped: the order of steps in a duet: ``in turn``, or ``one after the other``.
        injected: slowdown that was added on purpose, as a share of a step's time; 0.03 is 3%.
        burst_steps: the number of steps in a turn, if turns are bursts.
        confirms: for a duet that confirms a stored time, the commit of the baseline's state, which is the reference.
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
        kind: the kind of device that it was made for.
        version: its version; ratios to different versions are not compared. ``None`` if no yardstick ran.
        steps: the number of its steps beside each step or burst of the case.
        parts_s: by component, the time beside each step or burst of the case.
        missing: the reason why no yardstick ran; empty if one ran, or none was wanted.
    """

    prefix: ClassVar[str] = "yardstick_"

    kind: str = "cpu"
    version: int | None = None
    steps: int | None = None
    parts_s: Mapping[str, Sequence[float]] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True)
class DeviceSeen(Group):
    """Reports of the device's driver between the beginning and the end of the launch.

    Attributes:
        device: the UUID of the device.
        others: foreign processes that can compute on the device; ``None`` if there is no driver to ask.
        slowdown_s: by reason, how long the device's clocks were held down; ``None`` if the driver gave no duration.
        slowdown_shares: by reason, the share of the launch in which they were held down.
        others_share: the share of the multiprocessors' time that foreign processes used.
        power_limit_w: the power limit in force at the end.
    """

    device: str | None = None
    others: Sequence[int] | CannotTell | None = None
    slowdown_s: Mapping[str, float | None] = field(default_factory=dict)
    slowdown_shares: Mapping[str, float] = field(default_factory=dict)
    others_share: float | CannotTell | None = None
    power_limit_w: float | None = None


@dataclass(frozen=True)
class Energy(Group):
    """The energy counter behind the energy of a step.

    Attributes:
        energy_from: the source of the counter: ``nvml`` or ``rapl``; empty if there was none.
    """

    energy_from: str = ""


@dataclass(frozen=True)
class Findings(Group):
    """Information that the actor found out about its program.

    Attributes:
        effective: the settings that are in force, by name.
        outcome: the results of the program: ``tokens``, ``losses``, ``logits``.
        ledger: information by module path: work and memory from a dry run, host syncs and graph breaks from counters.
        measured_by_part_bytes: measured bytes of weights, buffers and optimizer state.
        allocator: a summary of CUDA's caching allocator.
        counted_under: the Python and device for which a count of Python's calls holds: ``Python 3.11 on cpu``.
        assumed: how often the host read, in a step, a value that an emulated card did not compute; by operator.
        tuned: whether the compiler chose kernels by their times, so that another compilation may choose others.
        uncounted: why there is no such count, as a clause; empty if there is one, or none was wanted.
    """

    effective: Mapping[str, Any] = field(default_factory=dict)
    outcome: Mapping[str, Sequence[float]] = field(default_factory=dict)
    ledger: Mapping[str, Any] = field(default_factory=dict)
    measured_by_part_bytes: Mapping[str, int] = field(default_factory=dict)
    allocator: Mapping[str, Any] = field(default_factory=dict)
    counted_under: str = ""
    uncounted: str = ""
    assumed: Mapping[str, int] = field(default_factory=dict)
    tuned: bool = False


GROUPS: Mapping[str, type[Group]] = {
    "span": Span, "start": Start, "turns": Turns, "yardstick": Yardstick, "seen": DeviceSeen, "energy": Energy,
    "findings": Findings,
}  # fmt: skip
# The name of each fact in a run file, by group.
KEYS = {name: {item.name: group.prefix + item.name for item in fields(group)} for name, group in GROUPS.items()}


@dataclass(frozen=True)
class Details:
    """All groups of one launch.

    Attributes:
        output: the last lines that the actor printed, if it failed.
        more: facts in a run file that this version of Perfgate does not know.
    """

    span: Span = field(default_factory=Span)
    start: Start = field(default_factory=Start)
    turns: Turns = field(default_factory=Turns)
    yardstick: Yardstick = field(default_factory=Yardstick)
    seen: DeviceSeen = field(default_factory=DeviceSeen)
    energy: Energy = field(default_factory=Energy)
    findings: Findings = field(default_factory=Findings)
    output: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The flat object for a run file, without facts at their default."""
        found = dict(self.more)
        for name in GROUPS:
            group: Group = getattr(self, name)
            values = {item: getattr(group, item.name) for item in fields(group)}
            found |= {KEYS[name][item.name]: value for item, value in values.items() if value != default_of(item)}
        return found | ({"output": self.output} if self.output else {})

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Details":
        """Read the object back; unknown keys go to ``more``."""
        left = dict(found)
        groups: dict[str, Any] = {}
        for name, group in GROUPS.items():
            groups[name] = group(**{item: left.pop(key) for item, key in KEYS[name].items() if key in left})
        return cls(**groups, output=left.pop("output", ""), more=left)


def default_of(item: Field[Any]) -> Any:
    """The default of a dataclass's field."""
    return item.default if item.default_factory is MISSING else item.default_factory()
