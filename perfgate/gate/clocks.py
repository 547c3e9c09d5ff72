"""Chooses the clock on which the times of a series are judged, for both sides at once and before comparing.

A time on the wall holds the waiting for a core that other processes had; a time on the processor does not, and neither
does it hold what the step itself waited for: sleeping, input and output, locks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from perfgate.gate.verdicts import MIN_BASELINE_LAUNCHES, MIN_BASELINE_SESSIONS
from perfgate.records.baselines import Baseline, StoredLaunch
from perfgate.records.clocks import CONTENDED, STEP, WAITED, Clock, is_clocked
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

IDLE = 0.01  # a step that spends more than this share neither computing nor waiting for a core needs the wall clock
UNKNOWN = "how long it computed itself is not known"
UNCLOCKED = "it is known in wall time alone"
COMPARED = ("pass", "improved", "regressed", "inconclusive")


@dataclass(frozen=True)
class ClockChoice:
    """The clock of a series.

    Attributes:
        clock: the clock on which times are judged; ``None`` if neither can be used.
        waited: the largest share of the core that other processes took during a launch; 0.34 is 34%.
        idle: the largest share of a step in which it neither computed nor waited for a core.
        by: the processes that took the core, such as ``python 1234``; empty if unknown.
        why_not: why times on the processor cannot be used, as a clause; empty if they can.
        stored: whether only the baseline's launches had to wait.
    """

    clock: Clock | None = "wall"
    waited: float = 0.0
    idle: float = 0.0
    by: str = ""
    why_not: str = ""
    stored: bool = False

    @property
    def remark(self) -> str:
        """A clause on how much of the core other processes took; empty if that did not matter."""
        when = " when the baseline was measured" if self.stored else f" ({self.by})" if self.by else ""
        took = f"other processes took {self.waited:.0%} of the core{when}"
        if self.clock == "processor":
            return f"on processor time: {took}"
        return f"{took}, and {self.why_not}" if self.why_not else ""

    def told(self, verdict: Verdict) -> Verdict:
        """A verdict on a time, corrected for the blind spot of the processor clock.

        Time on the processor shows a regression; a step that spends time on something else than computing may have
        become slower in what that clock does not see, so it neither passes nor improves.
        """
        if not is_timed(verdict.metric) or verdict.verdict not in COMPARED:
            return verdict
        name, why = verdict.verdict, [verdict.why, self.remark]
        if self.clock is None:
            name = "inconclusive"
        elif self.clock == "processor" and self.idle > IDLE and (name != "regressed" or verdict.expected):
            name = "inconclusive"
            why.append(
                f"{self.idle:.0%} of a step it neither computed nor waited for the core (it slept, did input or "
                "output, or waited for a lock), of which this clock knows nothing"
            )
        return replace(verdict, verdict=name, why="; ".join(filter(None, why)))


WALL = ClockChoice()


def choose(launches: Sequence[Launch]) -> ClockChoice:
    """The clock of launches that are compared with each other, such as both sides of some duets.

    Args:
        launches: the launches of both sides; invalid launches and those without times are ignored.
    """
    timed = [launch for launch in launches if not launch.invalid and STEP in launch.metrics]
    waits = [launch.waited or 0.0 for launch in timed]
    waited = max(waits, default=0.0)
    idle = max((launch.idle for launch in timed), default=0.0)
    by = timed[waits.index(waited)].disturbed_by if timed else ""
    if waited <= WAITED:
        return ClockChoice("wall", waited, idle, by)
    if all(launch.other is not None for launch in timed):
        return ClockChoice("processor", waited, idle, by)
    return ClockChoice("wall" if waited <= CONTENDED else None, waited, idle, by, UNKNOWN)


def choose_against(launches: Sequence[Launch], baseline: Baseline | None) -> ClockChoice:
    """The clock for a case's launches and the baseline that they are compared with.

    If other processes took the core while either side was measured, both are judged on processor time, if enough stored
    launches know theirs. Otherwise the wall's times are, as long as they say something.

    Args:
        launches: the case's launches now.
        baseline: the stored baseline, or ``None``.
    """
    now = choose(launches)
    stored = [launch for launch in baseline.launches if STEP in launch.metrics] if baseline else []
    before = max((launch.waited or 0.0 for launch in stored), default=0.0)
    if not stored or max(now.waited, before) <= WAITED:
        return now
    both = replace(now, clock="processor", idle=max([now.idle, *(launch.idle for launch in stored)]))
    if now.waited <= WAITED:
        both = replace(both, waited=before, by="", stored=True)
    measured = [launch for launch in launches if not launch.invalid and STEP in launch.metrics]
    why_not = lacking(measured, stored)
    if not why_not:
        return both
    return replace(both, clock="wall" if max(now.waited, before) <= CONTENDED else None, why_not=why_not)


def lacking(now: Sequence[Launch], stored: Sequence[StoredLaunch]) -> str:
    """The reason why processor times cannot be compared; empty if they can.

    Stored launches without processor times are dropped. That is acceptable if none are dropped, or if enough launches
    and sessions remain.
    """
    if any(launch.other is None for launch in now):
        return UNKNOWN
    kept = [launch for launch in stored if launch.processor]
    if len(kept) == len(stored) or is_old_enough(kept):
        return ""
    more = "the baseline holds too few times on the processor: add some with --perf-update more"
    return more if kept else more.replace("too few", "no")


def is_old_enough(launches: Sequence[StoredLaunch]) -> bool:
    """Whether enough launches from enough sessions are stored to judge a time."""
    sessions = {launch.session for launch in launches}
    return len(launches) >= MIN_BASELINE_LAUNCHES and len(sessions) >= MIN_BASELINE_SESSIONS


def is_timed(name: str) -> bool:
    """Whether a metric is a time that can fail a case, or is computed from one."""
    return is_clocked(name) or metric(name).unit == "1/s"


def on(choice: ClockChoice, launches: Iterable[Launch]) -> list[Launch]:
    """The launches with their times on the chosen clock."""
    return [launch.on(choice.clock or "wall") for launch in launches]


def told_by_case(choices: Mapping[str, ClockChoice], verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Correct the verdicts of several cases, each for the clock of its case."""
    return [choices.get(verdict.case, WALL).told(verdict) for verdict in verdicts]
