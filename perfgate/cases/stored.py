"""Compares a case with its stored baselines: this machine's, and the exact metrics that hold on every machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfgate.cases.duets import Policy
from perfgate.cases.lines import Case
from perfgate.gate.against_baseline import against_baseline
from perfgate.gate.clocks import WALL, ClockChoice
from perfgate.gate.dry_run import NOTHING_TO_COUNT, against_stored, why_not
from perfgate.gate.python_calls import beside_others, under
from perfgate.gate.versions import Upgrade, differing
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch
from perfgate.records.portable import split
from perfgate.records.store import PORTABLE
from perfgate.records.verdict import Verdict
from perfgate.shared.workload import Workload


@dataclass(frozen=True)
class Stored:
    """The stored baselines of a case.

    Attributes:
        here: its baseline on this machine, or ``None``.
        everywhere: its baseline that holds on every machine, or ``None``.
        since: the library versions of ``everywhere``, in words, if they differ from this run's.
    """

    here: Baseline | None
    everywhere: Baseline | None
    since: str = ""

    def here_since(self, software: Mapping[str, str]) -> str:
        """The library versions of ``here``, in words, if they differ from these."""
        return differing(self.here.software, software) if self.here else ""


def judge(
    case: Case,
    workload: Workload,
    launches: Sequence[Launch],
    clock: ClockChoice,
    stored: Stored,
    policy: Policy,
    software: Mapping[str, str],
    alone: bool,
) -> tuple[list[Verdict], str]:
    """Judge one case of a run.

    Args:
        case: the case as it runs now.
        workload: its workload.
        launches: all its launches, with their times on ``clock``.
        clock: the clock on which times are judged.
        stored: the stored baselines of the case.
        policy: the rules by which the run judges.
        software: the library versions of the launches.
        alone: whether the run takes only dry runs.

    Returns:
        The verdicts on the measured metrics and on those of the dry run, and why there was no dry run.
    """
    here, everywhere = split(launches)
    dry, counted = ([x for x in everywhere if (x.pass_name == "dry") == is_dry] for is_dry in (True, False))
    exact = stored.everywhere and stored.everywhere.under(PORTABLE)
    failed = why_not(dry) or (NOTHING_TO_COUNT if not dry and exact and exact.metrics else "")

    def held(of: Sequence[Launch], baseline: Baseline | None, since: str, clock: ClockChoice) -> list[Verdict]:
        pairs, upgrade = policy.stored_pairs, Upgrade(since, policy.version_tolerance)
        return against_baseline(case.id, workload.sha256, of, baseline, case.tolerances, pairs, upgrade, clock)

    verdicts = [] if alone else held(here, stored.here, stored.here_since(software), clock)
    if counted:
        same_python = stored.everywhere and stored.everywhere.under(under(counted))
        verdicts += beside_others(held(counted, same_python, stored.since, WALL), stored.everywhere)
    if not failed:
        return verdicts + held(dry, exact, stored.since, WALL), ""
    if any(launch.final for launch in launches):
        return verdicts, ""
    lost = against_stored(case.id, workload.sha256, failed, exact, alone, stored.since)
    return verdicts + lost, "" if lost else failed
