"""Baselines: the stored earlier measurements of a case."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field, replace
from typing import Any

from perfgate.records.clocks import Clock, is_clocked
from perfgate.records.launch import YARDSTICK_VERSIONS
from perfgate.shared.metric import FIRST_WAY
from perfgate.shared.metrics import metric

MAX_SESSIONS = 20


@dataclass(frozen=True)
class StoredLaunch:
    """One launch of an earlier session.

    Attributes:
        session: the id of the run that measured it.
        metrics: by name, the value in the metric's unit and its ratio to the yardstick, or ``None`` without a
            yardstick.
        yardstick: the version of that yardstick.
        ledger: exact metrics by module path; empty if the launch had none.
        parts: the median time of each of the yardstick's components, in seconds; empty without a yardstick.
        processor: times in processor time, by metric; empty if they are not known.
        processor_parts: the yardstick's components in processor time.
        waited: the share of the core that other processes took during the launch; ``None`` if it is not known.
        idle: the share of a step in which the program neither computed nor waited for a core.
        surroundings: digests of its packages, variables and files, by kind; empty if not known.
        software: the versions of the libraries that it ran on; empty if they are not known.
        clock_mhz: the clock of a GPU's multiprocessors under load; ``None`` if it is not known.
        ways: the way in which each metric was measured, where that is not the first one.
    """

    session: str
    server: str
    device: str
    commit: str
    date: str
    metrics: Mapping[str, tuple[float, float | None]]
    yardstick: int = YARDSTICK_VERSIONS["cpu"]
    ledger: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    processor: Mapping[str, tuple[float, float | None]] = field(default_factory=dict)
    processor_parts: Mapping[str, float] = field(default_factory=dict)
    waited: float | None = None
    idle: float = 0.0
    surroundings: Mapping[str, str] = field(default_factory=dict)
    software: Mapping[str, str] = field(default_factory=dict)
    clock_mhz: float | None = None
    ways: Mapping[str, int] = field(default_factory=dict)

    def way(self, name: str) -> int:
        """The number of the way in which it measured a metric."""
        return self.ways.get(name, FIRST_WAY)

    def comparable(self, name: str) -> bool:
        """Whether it measured a metric in the way in which this version of Perfgate does."""
        return name in self.metrics and self.way(name) == metric(name).way

    @property
    def of_python(self) -> bool:
        """Whether its numbers hold only for one version of Python and one kind of device, both named in ``device``."""
        return any(metric(name).of_python for name in self.metrics)

    def with_only(self, names: Set[str]) -> "StoredLaunch":
        """The same launch with only the named metrics."""
        metrics, processor = (
            {name: pair for name, pair in values.items() if name in names} for values in (self.metrics, self.processor)
        )
        return replace(self, metrics=metrics, processor=processor)

    def on(self, clock: Clock) -> "StoredLaunch":
        """The same launch with its times on this clock, or without times if they are not known on it."""
        if clock == "wall":
            return self
        staying = {name: value for name, value in self.metrics.items() if not is_clocked(name)}
        return replace(self, metrics={**self.processor, **staying}, parts=self.processor_parts)


@dataclass(frozen=True)
class Baseline:
    """The stored measurement of a case on a machine.

    Attributes:
        workload: the identity of the workload.
        commit: the commit at which it was last changed.
        date: when it was last changed.
        reason: why it was last changed.
        launches: the launches of all kept sessions.
        by: who accepted a regression with the last change; empty if nobody did.
        until: the day, ``2027-01-31``, until which it is accepted; empty if for good.
    """

    case: str
    workload: str
    commit: str
    date: str
    reason: str
    launches: tuple[StoredLaunch, ...]
    by: str = ""
    until: str = ""

    @property
    def metrics(self) -> list[str]:
        """Names of all stored metrics, in whatever way they were measured."""
        return list(dict.fromkeys(name for launch in self.launches for name in launch.metrics))

    @property
    def software(self) -> Mapping[str, str]:
        """Versions of the libraries in its newest launch; empty if not known."""
        return self.launches[-1].software if self.launches else {}

    def values(self, name: str) -> dict[str, list[float]]:
        """The values of a metric by session, in the metric's unit, as far as they were measured in today's way."""
        return self._by_session(name, 0)

    def yardsticks(self, name: str, version: int = YARDSTICK_VERSIONS["cpu"]) -> dict[str, list[float]]:
        """Ratios to the yardstick by session. Only launches with a yardstick of this version are counted."""
        same = tuple(launch for launch in self.launches if launch.yardstick == version)
        return replace(self, launches=same)._by_session(name, 1)

    def parts(self, name: str, version: int) -> dict[str, list[Mapping[str, float]]]:
        """The times of the yardstick's components by session, in the launches that ``yardsticks`` counts."""
        groups: dict[str, list[Mapping[str, float]]] = {}
        for launch in self.launches:
            if launch.parts and launch.yardstick == version and launch.comparable(name):
                groups.setdefault(launch.session, []).append(launch.parts)
        return groups

    def under(self, device: str) -> "Baseline":
        """The same baseline with only the launches whose numbers hold for one device, such as ``portable``."""
        return replace(self, launches=tuple(launch for launch in self.launches if launch.device == device))

    def on(self, clock: Clock) -> "Baseline":
        """The same baseline with its times on this clock."""
        return replace(self, launches=tuple(launch.on(clock) for launch in self.launches))

    def _by_session(self, name: str, position: int) -> dict[str, list[float]]:
        groups: dict[str, list[float]] = {}
        for launch in self.launches:
            value = launch.metrics[name][position] if launch.comparable(name) else None
            if value is not None:
                groups.setdefault(launch.session, []).append(value)
        return groups

    def without_earlier_ways(self, now: Iterable[StoredLaunch]) -> "Baseline":
        """The same baseline without metrics that ``now`` measured in a later way.

        Python's calls that were counted under another Python, or on another device, stay. A launch that loses metrics
        also loses the tables that ``now`` has, because the newest table is the one that is read.
        """
        now = list(now)
        devices = {launch.device for launch in now}
        tables = {name for launch in now for name in launch.ledger}
        ways = {name: launch.way(name) for launch in now for name in launch.metrics}

        def rest(launch: StoredLaunch) -> StoredLaunch:
            if launch.of_python and launch.device not in devices:
                return launch
            earlier = {name for name, way in ways.items() if launch.way(name) < way}
            if not earlier & launch.metrics.keys():
                return launch
            ledger = {name: table for name, table in launch.ledger.items() if name not in tables}
            return replace(launch.with_only(launch.metrics.keys() - earlier), ledger=ledger)

        launches = map(rest, self.launches)
        return replace(self, launches=tuple(launch for launch in launches if launch.metrics))

    def with_session(self, launches: Iterable[StoredLaunch]) -> "Baseline":
        """The same baseline with one more session, and at most the newest twenty."""
        everything = (*self.launches, *launches)
        kept = list(dict.fromkeys(launch.session for launch in everything))[-MAX_SESSIONS:]
        return replace(self, launches=tuple(launch for launch in everything if launch.session in kept))
