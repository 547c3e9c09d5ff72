"""One launch: everything that one actor measured, from its start to its end."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from perfgate.records.clocks import STEP, Clock, Times, Value, is_clocked
from perfgate.records.details import Details
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.metric import FIRST_WAY, PassName
from perfgate.shared.metrics import METRICS, metric, ways_now
from perfgate.shared.wire import NO_PROGRAM, NOT_EMULATED, UNSUPPORTED

Side = Literal["candidate", "reference"]
TRIMMED_SHARE = 0.1
# The beginning of ``invalid`` if other processes took the core, so that the launch's times mean nothing.
CORE_TAKEN = "contended: other processes took"
# The beginning of ``invalid`` if steps became slower and slower beside the yardstick or the reference.
EVER_SLOWER = "unsteady, ever slower:"
# By kind of device; numbers in units of another version are not compared.
YARDSTICK_VERSIONS = {name: kind.yardstick_version for name, kind in DEVICE_KINDS.items()}
# The keys of a launch's line in a run file.
NEEDED = ("case", "workload", "launch", "side", "pair", "metrics", "yardstick_s", "invalid")
KEYS = frozenset({"kind", *NEEDED, "fault", "final", "server", "pass", "samples", "tokens", "details"}) | {
    "clock",
    "other_clock",
    "disturbed_by",
}


@dataclass(frozen=True)
class Launch:
    """Everything that one actor measured (JMH: a fork).

    Statistics count launches, not steps: the steps of one process are correlated.

    Attributes:
        case: the case's id.
        workload: the identity of the workload, SHA-256.
        launch: the number of the launch within the case and the side, from 0.
        metrics: by name, a number or a list with one value for each step or burst.
        side: ``candidate`` for the code under test, or ``reference``.
        pair: the number of the duet to which this launch belongs; ``None`` for a solo launch.
        yardstick_s: the yardstick's time beside each step or burst.
        invalid: the reason why this launch must not be used, or ``None``.
        fault: whether the program caused ``invalid``, and not the machine.
        final: whether another launch would end in the same way.
        server: the name of the fork server that it was forked from.
        pass_name: the pass, which decides what was measured.
        samples: number of samples in a step.
        tokens: number of real tokens in a step, without padding.
        details: further facts about the launch.
        clock: the clock of the times in ``metrics`` and ``yardstick_s``; wall time until the gate chooses a clock.
        other: the same times on the other clock; ``None`` if they are known on one clock only.
        ways: the way in which each metric was measured, where that is not the first one; a run file says it once.
        disturbed_by: the processes that took the core during the launch, such as ``python 1234``; empty if unknown.
        unknown: keys of its line in a run file that this version of Perfgate does not know.
    """

    case: str
    workload: str
    launch: int
    metrics: Mapping[str, Value]
    side: Side = "candidate"
    pair: int | None = None
    yardstick_s: Sequence[float] | None = None
    invalid: str | None = None
    fault: bool = False
    final: bool = False
    server: str | None = None
    pass_name: PassName | None = None
    samples: int | None = None
    tokens: int | None = None
    details: Details = field(default_factory=Details)
    clock: Clock = "wall"
    other: Times | None = None
    disturbed_by: str = ""
    ways: Mapping[str, int] = field(default_factory=ways_now)
    unknown: Mapping[str, Any] = field(default_factory=dict)

    def on(self, clock: Clock) -> "Launch":
        """The same launch with its times on this clock, or unchanged if they are not known on it.

        A time that is known on the other clock only is left out.
        """
        if clock == self.clock or self.other is None:
            return self
        moving = {name: v for name, v in self.metrics.items() if name in self.other.metrics or is_clocked(name)}
        staying = {name: value for name, value in self.metrics.items() if name not in moving}
        yardstick = self.details.yardstick
        moved = replace(yardstick, parts_s=self.other.parts_s) if yardstick.parts_s else yardstick
        return replace(
            self.detailed(yardstick=moved),
            metrics={**self.other.metrics, **staying},
            yardstick_s=self.other.yardstick_s,
            clock=clock,
            other=Times(moving, self.yardstick_s, yardstick.parts_s),
        )

    def measured(self, name: str) -> bool:
        """Whether it measured a metric; a gated metric counts only in its own pass."""
        what = metric(name)
        return name in self.metrics and (not what.gated or what.gated_in(self.pass_name))

    def way(self, name: str) -> int:
        """The number of the way in which it measured a metric."""
        return self.ways.get(name, FIRST_WAY)

    @property
    def waited(self) -> float | None:
        """The share of the core that other processes took while this one was ready to run; 0.34 is 34%.

        ``None`` if the scheduler keeps no account.
        """
        if "queue_time_s" not in self.metrics or self.other is None:
            return None
        queued_s, computed_s = (sum(times) for times in (self.steps("queue_time_s"), self.on("processor").steps(STEP)))
        return queued_s / (queued_s + computed_s)

    @property
    def idle(self) -> float:
        """The share of a step in which it neither computed nor waited for a core; 0 if that is not known.

        It slept, did input or output, or waited for a lock.
        """
        if "idle_time_s" not in self.metrics or self.other is None:
            return 0.0
        spans = zip(self.steps("idle_time_s"), self.on("processor").steps(STEP), strict=True)
        return statistics.median(idle_s / (idle_s + computed_s) for idle_s, computed_s in spans)

    @property
    def ledger(self) -> Mapping[str, Any]:
        """Information by module path: work and memory from a dry run, host syncs and graph breaks from counters."""
        return self.details.findings.ledger

    def value(self, name: str) -> float:
        """The median of a metric over the steps, in the metric's unit."""
        found = self.metrics[name]
        return float(statistics.median(found)) if isinstance(found, list) else float(found)

    def steps(self, name: str) -> list[float]:
        """The values of a metric, one for each step or burst."""
        found = self.metrics[name]
        return found if isinstance(found, list) else [found]

    def in_yardsticks(self, name: str) -> float | None:
        """The mean ratio of a time to the yardstick beside each step; ``None`` if no yardstick ran.

        It is the geometric mean over the steps without the outer tenth on either side. On a machine that jumps between
        two speeds, that varies less than the median (``benchmarks/yardstick.py``).
        """
        if not self.yardstick_s:
            return None
        found = self.metrics[name]
        if isinstance(found, list) and len(found) == len(self.yardstick_s):
            ratios = [math.log(a) - math.log(b) for a, b in zip(found, self.yardstick_s, strict=True)]
            return math.exp(trimmed_mean(ratios, TRIMMED_SHARE))
        return self.value(name) / statistics.median(self.yardstick_s)

    @property
    def rate_amounts(self) -> dict[str, int]:
        """The amounts in a step, such as samples, by the metric that counts them per second."""
        amounts = {"samples": self.samples, "tokens": self.tokens}
        rates = {name: amounts.get(row.rate.of) for name, row in METRICS.items() if row.rate}
        return {name: amount for name, amount in rates.items() if amount}

    @property
    def yardstick(self) -> int:
        """Version of the yardstick that ran beside this launch, or the device's current version if none did."""
        version = self.details.yardstick.version
        return YARDSTICK_VERSIONS.get(self.yardstick_kind, 0) if version is None else version

    @property
    def yardstick_kind(self) -> str:
        """The kind of device that the yardstick was made for."""
        return self.details.yardstick.kind

    @property
    def parts(self) -> dict[str, float]:
        """The median time of each of the yardstick's components, in seconds; empty if no yardstick ran."""
        return {part: statistics.median(spans) for part, spans in self.details.yardstick.parts_s.items() if spans}

    @property
    def out_of_memory(self) -> bool:
        """Whether the launch ended because memory ran out."""
        return (self.invalid or "").startswith("out of memory")

    @property
    def not_emulated(self) -> bool:
        """Whether the launch ended because it needs what an emulated card does not have."""
        return (self.invalid or "").startswith(NOT_EMULATED)

    def detailed(self, **groups: Any) -> "Launch":
        """The same launch with these groups of details replaced."""
        return replace(self, details=replace(self.details, **groups))

    @property
    def unsupported(self) -> bool:
        """Whether the device or a library does not support the workload."""
        return (self.invalid or "").startswith(UNSUPPORTED)

    @property
    def without_program(self) -> bool:
        """Whether the interpreter of the launch lacks the program."""
        return (self.invalid or "").startswith(NO_PROGRAM)

    def rejected(self, reason: str, fault: bool = False, final: bool = False) -> "Launch":
        """The same launch, marked as invalid."""
        return replace(self, invalid=reason, fault=fault, final=final)

    def to_json(self) -> dict[str, Any]:
        """The launch's line in a run file."""
        line: dict[str, Any] = {
            "kind": "launch",
            "case": self.case,
            "workload": self.workload,
            "launch": self.launch,
            "side": self.side,
            "pair": self.pair,
            "metrics": dict(self.metrics),
            "yardstick_s": None if self.yardstick_s is None else list(self.yardstick_s),
            "invalid": self.invalid,
        }
        extra = {
            "fault": self.fault or None,
            "final": self.final or None,
            "server": self.server,
            "pass": self.pass_name,
            "samples": self.samples,
            "tokens": self.tokens,
            "details": self.details.to_json() or None,
            "clock": None if self.clock == "wall" else self.clock,
            "other_clock": self.other and self.other.to_json(),
            "disturbed_by": self.disturbed_by or None,
        }
        return {**self.unknown, **line, **{key: value for key, value in extra.items() if value is not None}}

    @classmethod
    def from_json(cls, line: Mapping[str, Any], ways: Mapping[str, int] | None = None) -> "Launch":
        """Read a line that ``runfile`` has checked.

        Args:
            line: the line.
            ways: the numbers of the ways in which its metrics were measured; by default those of today.
        """
        return cls(
            ways=ways_now() if ways is None else ways,
            unknown={key: value for key, value in line.items() if key not in KEYS},
            case=line["case"],
            workload=line["workload"],
            launch=line["launch"],
            metrics=line["metrics"],
            side=line["side"],
            pair=line["pair"],
            yardstick_s=line["yardstick_s"],
            invalid=line["invalid"],
            fault=bool(line.get("fault")),
            final=bool(line.get("final")),
            server=line.get("server"),
            pass_name=line.get("pass"),
            samples=line.get("samples"),
            tokens=line.get("tokens"),
            details=Details.from_json(line.get("details") or {}),
            clock=line.get("clock", "wall"),
            other=Times.from_json(line["other_clock"]) if line.get("other_clock") else None,
            disturbed_by=line.get("disturbed_by", ""),
        )


def trimmed_mean(values: Sequence[float], share: float) -> float:
    """The mean of values without the given share of them at either end."""
    cut = int(len(values) * share)
    return statistics.fmean(sorted(values)[cut : len(values) - cut])


def medians(launches: Sequence[Launch]) -> dict[str, float]:
    """The median of each metric over the valid launches."""
    valid = [launch for launch in launches if not launch.invalid]
    names = dict.fromkeys(name for launch in valid for name in launch.metrics)
    return {name: statistics.median(x.value(name) for x in valid if name in x.metrics) for name in names}
