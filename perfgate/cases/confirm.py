"""Confirms stored times: a case that they do not pass runs duets against the code of its baseline's commit."""

import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from perfgate.cases.duets import OUT_OF_TIME, DuetSeries, Policy, Progress, against_reference
from perfgate.cases.lines import Case
from perfgate.gate import confirmed
from perfgate.gate.alpha_budget import AlphaBudget
from perfgate.gate.verdicts import fallen
from perfgate.measure.duet import DuetSide
from perfgate.measure.pool import Pool
from perfgate.measure.stage import Stage
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict
from perfgate.reference.baseline_state import BaselineState, BaselineStates, NoStateError
from perfgate.reference.reference import Reference
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError
from perfgate.shared.workload import Workload
from perfgate.system.surroundings import changed
from perfgate.workloads.programs import modules_of

SAME_CODE = "code and libraries are the baseline's, so that there is nothing to step beside each other, but "
OTHER_FILES = "the files that it reads are not those of the baseline, and both sides of a duet read the same"
UNBUILT = (
    "the environment with its baseline's libraries was not ready within --perf-budget; a run without it builds that "
    "environment once"
)
Remark = Callable[[Verdict], Verdict]


@dataclass
class Confirmer:
    """Confirms one case after the other, and keeps the servers of one baseline state running between them.

    Attributes:
        stage: the stage with the device.
        states: the states of the baselines.
        policy: the rules by which the run judges.
        alpha_budget: the budget that earlier cases left.
    """

    stage: Stage
    states: BaselineStates
    policy: Policy
    alpha_budget: AlphaBudget
    _pool: Pool | None = field(default=None, init=False)
    _beside: tuple[str, Pool] | None = field(default=None, init=False)
    _started_s: float = field(default=0.0, init=False)

    @cached_property
    def _gpu(self) -> bool:
        return DEVICE_KINDS[self.stage.device.kind].gpu

    def confirm(
        self,
        case: Case,
        workload: Workload,
        verdicts: Sequence[Verdict],
        baseline: Baseline,
        surroundings: Callable[[], Mapping[str, str]],
        took_s: float,
        progress: Progress,
    ) -> tuple[list[Launch], list[Verdict]]:
        """Decide the times that stored times leave open.

        Args:
            case: the case as it runs now.
            workload: its workload.
            verdicts: the verdicts from stored times.
            baseline: the baseline behind these verdicts.
            surroundings: returns digests of the packages, variables and files that the measurement depends on.
            took_s: the seconds that the case's own launches took.
            progress: called with a few words when something begins.

        Returns:
            The launches of the duets, and all verdicts of the case.
        """
        names = confirmed.wanted(verdicts, self._gpu)
        if not names:
            return [], list(verdicts)
        try:
            state = self.states.find(case.id)
            before, now = kept_of(baseline), surroundings()
            if before and before.get("files") != now["files"]:
                return [], changed_by(verdicts, names, lambda stored: confirmed.alone(stored, OTHER_FILES))
            if not self.states.differing(state) and not self.states.moved(state):
                return [], changed_by(verdicts, names, same_code(state, before, now))
            if not self.policy.deadline.allows(took_s + self._start_s(state)):
                return [], changed_by(verdicts, names, lambda stored: confirmed.alone(stored, OUT_OF_TIME))
            reference = self.states.open(state, progress, self.policy.deadline.surplus_s)
            return self._duets(case, workload, verdicts, names, state, reference, progress)
        except TimeoutError:
            why = f"{UNBUILT}: pytest {shlex.quote(case.id)}"
            return [], changed_by(verdicts, names, lambda stored: confirmed.alone(stored, why))
        except NoStateError as missing:
            why, remark = str(missing), confirmed.undecided if missing.remedy else confirmed.alone
            return [], changed_by(verdicts, names, lambda stored: remark(stored, why))
        except UserError as error:
            why = str(error)
            return [], changed_by(verdicts, names, lambda stored: confirmed.alone(stored, why))

    def _start_s(self, state: BaselineState) -> float:
        """The expected seconds to start a state's servers: as long as the last ones took; 0 if they are running."""
        return 0.0 if self.states.is_open(state) else self._started_s or self.stage.timesheet.servers_s

    def _servers(self, reference: Reference) -> Pool:
        """The servers of a state; the servers of the previous state are ended."""
        if self._pool is None or self._pool.interpreter is not reference:
            self._end_servers()
            # A duet steps no yardstick, and the state's libraries may not be enough for one.
            self._pool = self.stage.pool.beside(reference, reference.name, modules_of(["yardstick.cpu"]))
        begin = time.perf_counter()
        if self._pool.start():
            self._started_s = time.perf_counter() - begin
            self.stage.timesheet.servers_s += self._started_s
        return self._pool

    def _duets(
        self,
        case: Case,
        workload: Workload,
        verdicts: Sequence[Verdict],
        names: Sequence[str],
        state: BaselineState,
        reference: Reference,
        progress: Progress,
    ) -> tuple[list[Launch], list[Verdict]]:
        """Screen and confirm, as in a comparison with a revision."""
        pool = self._servers(reference)
        self._beside = case.id, pool
        sides = [
            DuetSide("reference", pool, workload),
            DuetSide("candidate", self.stage.pool, workload),
        ]
        series = DuetSeries(self.stage, case.id, sides, self.policy.deadline, progress)
        found, self.alpha_budget = against_reference(
            series, case.tolerances, self.alpha_budget, self.policy.noise, names=names
        )
        by_metric = {verdict.metric: verdict for verdict in found if series.pairs}

        def decided(stored: Verdict) -> Verdict:
            if stored.metric in by_metric:
                return confirmed.by_duets(stored, by_metric[stored.metric], state.commit)
            if series.fell("candidate"):
                return fallen(stored, series.invalid)
            return confirmed.alone(stored, series.invalid or "its duets do not measure it")

        launches = [marked(launch, state.commit) for launch in series.judged()]
        return launches, changed_by(verdicts, names, decided)

    def beside(self, case: str) -> Pool | None:
        """The servers of the state that this case's duets ran against; ``None`` if it needed no duet."""
        return self._beside[1] if self._beside and self._beside[0] == case else None

    def _end_servers(self) -> None:
        if self._pool is not None:
            self._pool.close()
            self._pool = None

    def close(self) -> None:
        """End the servers, and remove the checkout."""
        self._end_servers()
        self.states.close()


def kept_of(baseline: Baseline) -> Mapping[str, str]:
    """The surroundings of the newest stored launch; empty if not known."""
    return baseline.launches[-1].surroundings if baseline.launches else {}


def same_code(state: BaselineState, before: Mapping[str, str], now: Mapping[str, str]) -> Remark:
    """The new verdict for a time if code and libraries are the baseline's.

    Args:
        state: the baseline's state.
        before: its surroundings.
        now: the surroundings of this run.
    """
    if not before:
        other = "it is not stored under which environment variables and with which files it was measured"
    elif moved := changed(before, now):
        other = f"{' and '.join(moved)} are not as they were"
    else:
        return lambda stored: confirmed.unchanged(stored, state.commit)
    return lambda stored: confirmed.undecided(stored, SAME_CODE + other)


def changed_by(verdicts: Sequence[Verdict], names: Sequence[str], remark: Remark) -> list[Verdict]:
    """The verdicts of a case, with ``remark`` applied to those on the named metrics."""
    return [remark(verdict) if verdict.metric in names else verdict for verdict in verdicts]


def marked(launch: Launch, commit: str) -> Launch:
    """A launch of a confirming duet, marked with the commit of the baseline's state."""
    return launch.detailed(turns=replace(launch.details.turns, confirms=commit))
