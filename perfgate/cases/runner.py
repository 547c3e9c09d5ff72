"""Runs one case after the other: measures it, judges it, and writes it to the run file."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from perfgate.cases import effect
from perfgate.cases.assumed import assumed_in
from perfgate.cases.calibration import record
from perfgate.cases.confirm import Confirmer
from perfgate.cases.deadline import SPENT
from perfgate.cases.derived import with_derived, with_work
from perfgate.cases.duets import DuetSeries, Policy, Progress, against_reference
from perfgate.cases.lines import Case, lines
from perfgate.cases.never_ran import never_ran_here
from perfgate.cases.power_limits import measured_under, under_limit
from perfgate.cases.reference_side import both_untimed, unable, upgrade_from, without_program
from perfgate.cases.result import Result
from perfgate.cases.stored import Stored, judge
from perfgate.cases.tracing import Tracer
from perfgate.gate.acceptance import accept
from perfgate.gate.against_run import compare
from perfgate.gate.clocks import choose_against, on
from perfgate.gate.dry_run import has_dry_run, why_not
from perfgate.gate.effects import Expectation
from perfgate.gate.equivalence import Equivalence
from perfgate.gate.launches import ever_slower
from perfgate.gate.outcome import Outcome, decide
from perfgate.gate.two_times import which
from perfgate.gate.wording import REFERENCE_UNABLE
from perfgate.measure.duet import DuetSide
from perfgate.measure.placement import room
from perfgate.measure.pool import Pool
from perfgate.measure.schedule import measure, spoilt
from perfgate.measure.stage import Stage
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch, medians
from perfgate.records.portable import PortableStore
from perfgate.records.runfile import Writer
from perfgate.records.shard_parts import DEAL
from perfgate.records.store import Store
from perfgate.records.traces import Trace
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import METRICS
from perfgate.shared.workload import Workload
from perfgate.system.surroundings import surroundings
from perfgate.workloads.provide import provide

Found = tuple[list[Launch], list[Verdict], str]


class CaseRunner:
    """Measures, judges and records one case after the other.

    Args:
        store: the baselines of this machine.
        portable: the baselines of exact metrics for these versions of torch and transformers.
        part: the file for this process's lines, which is later merged into the run file.
        stage: the stage for the launches; the runner closes it.
        policy: the rules by which the run judges.
        confirmer: decides the times that stored times leave open; ``None`` if they alone decide.
        packages: returns the version of every package that the code under test runs with.
        dealt: the division of cases and alpha among the shards; ``None`` in a run without shards.
        tracer: takes traces; ``None`` if none are wanted.
    """

    def __init__(
        self,
        store: Store,
        portable: PortableStore,
        part: Path,
        stage: Stage,
        policy: Policy,
        confirmer: Confirmer | None = None,
        packages: Callable[[], Mapping[str, str]] = dict,
        dealt: Mapping[str, Any] | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._store = store
        self._portable = portable
        self._writer = Writer(part)
        self.stage = stage
        self._policy = policy
        self._alpha_budget = policy.alpha_budget
        self._deadline = policy.deadline
        self._confirmer = confirmer
        self._packages = packages
        self._tracer = tracer
        if dealt:
            self._writer.write([{"kind": DEAL, **dealt}])  # first, so that it is there if this process is killed

    def run_case(self, case: Case, workload: Workload, progress: Progress) -> Result:
        """Measure a case, compare it with its reference or its baseline, and write it to the run file.

        Raises:
            Unavailable: something that the workload needs is missing here.
            UserError: its baseline cannot be read, a program cannot be imported, or the hub does not answer.
        """
        if not self._deadline.begins():
            return self._left_out(case, workload)
        if reference := self.stage.reference:
            return self._conclude(
                case, [workload], progress, lambda: self._against_reference(case, workload, reference, progress)
            )
        baseline = None if self._alone else self._store.get(case.id)
        stored = Stored(baseline, *self._portable.held(case.id, workload.sha256))

        def held() -> Found:
            launches = measure(self.stage, case.id, workload, progress)
            clock, software = choose_against(launches, baseline), self.stage.pool.interpreter.software
            launches = on(clock, launches)
            return launches, *judge(case, workload, launches, clock, stored, self._policy, software, self._alone)

        def confirmed(verdicts: Sequence[Verdict], took_s: float) -> tuple[list[Launch], list[Verdict]]:
            if not self._confirmer or not baseline or self._policy.update == "all":
                return [], list(verdicts)
            about = partial(self._surroundings, workload)
            return self._confirmer.confirm(case, workload, verdicts, baseline, about, took_s, progress)

        return self._conclude(case, [workload], progress, held, [baseline, stored.everywhere], confirmed)

    def run_effect(
        self,
        case: Case,
        vanilla: Workload,
        setting: Workload,
        expectations: Sequence[Expectation],
        likenesses: Sequence[Equivalence],
        progress: Progress,
    ) -> Result:
        """Measure whether a setting has the expected effect, and write it to the run file.

        Raises:
            Unavailable: something that a workload needs is missing here.
            UserError: a program cannot be imported, or the hub does not answer.
        """
        if not self._deadline.begins():
            return self._left_out(case, setting)

        def tried() -> Found:
            sides, expected = (vanilla, setting), (expectations, likenesses)
            return *effect.tried(self.stage, case.id, *sides, *expected, self._policy, progress), ""

        return self._conclude(case, [setting, vanilla], progress, tried, trial=True)

    def run_limited(self, case: Case, workload: Workload, limit_w: int, progress: Progress) -> Result:
        """Measure a case under a power limit, compare it with nothing, and write it to the run file.

        Raises:
            Unavailable: something that the workload needs is missing here.
            UserError: the limit cannot be set or taken back, or a program cannot be imported.
        """
        limited = under_limit(workload, self.stage.device, limit_w)
        if not self._deadline.begins():
            return self._left_out(case, limited)
        about = self.stage, case, limited, limit_w, self._policy, progress
        return self._conclude(case, [limited], progress, lambda: measured_under(*about))

    def calibrate(
        self, case: Case, workload: Workload, duets: int, slowdowns: Sequence[float], progress: Progress
    ) -> Result:
        """Step a case against itself, with injected slowdowns; nothing is judged.

        Raises:
            UserError: a program cannot be imported.
        """
        return self._conclude(
            case,
            [workload],
            progress,
            lambda: (record(self.stage, case.id, workload, duets, slowdowns, progress), [], "calibrated"),
        )

    def _conclude(
        self,
        case: Case,
        workloads: Sequence[Workload],
        progress: Progress,
        find: Callable[[], Found],
        held: Sequence[Baseline | None] = (),
        confirmed: Callable[[Sequence[Verdict], float], tuple[list[Launch], list[Verdict]]] | None = None,
        trial: bool = False,
    ) -> Result:
        """Measure a case, or try an effect, decide how it ends, and write it to the run file."""
        for workload in workloads:
            provide(workload, progress, self.stage.plan.device, room(self.stage.device))
        self.stage.start()
        begin = time.perf_counter()
        found, verdicts, remark = find()
        took_s = time.perf_counter() - begin
        if not self.stage.reference:
            self._deadline.plain(took_s)
        if confirmed:
            duets, verdicts = confirmed(verdicts, took_s)
            found, took_s = found + duets, time.perf_counter() - begin
        launches = with_work([with_derived(launch) for launch in found])
        # Both sides of an effect run the code under test.
        own = ("candidate", "reference") if trial else ("candidate",)
        faulty = [launch for launch in launches if launch.fault and launch.side in own]
        # The baseline or the reference was steady, so steps that become slower are the program's fault.
        slowing = bool(any(held) or self.stage.reference) and not trial and ever_slower(launches)
        verdicts = [accept(verdict, self._policy.accepted) for verdict in which(verdicts)]
        outcome = decide(
            verdicts,
            fault=(bool(faulty) and not never_ran_here(launches, faulty, held, bool(self.stage.reference))) or slowing,
            strict=self._policy.strict,
            update=self._policy.update,
            accept=case.accept,
            output=faulty[-1].details.output if faulty else "",
        )
        stored = confirmed is not None and bool(self._policy.update)
        about = self._surroundings(workloads[0]) if stored else {}
        traces: tuple[Trace, ...] = ()
        if self._tracer and not faulty:
            beside = self._confirmer.beside(case.id) if self._confirmer else None
            traces = self._tracer.take(case.id, workloads, beside, verdicts, progress)
        told = lines(case, workloads, launches, held, verdicts, outcome, took_s, about, traces)
        self._writer.write(told)
        candidates = [x for x in launches if x.side == "candidate" and not x.details.turns.confirms]
        ledger = next((launch.ledger for launch in candidates if launch.pass_name == "dry"), {})
        steps_s = tuple(x.value("step_time_s") for x in candidates if "step_time_s" in x.metrics and not x.invalid)
        remarks = "; ".join(filter(None, [remark, assumed_in(candidates)]))
        return Result(case.id, medians(candidates), tuple(verdicts), outcome, remarks, ledger, steps_s, traces)

    def _surroundings(self, workload: Workload) -> Mapping[str, str]:
        """Digests of the packages, variables and files that a measurement of the workload depends on."""
        return surroundings(self._packages(), workload.params)

    def _left_out(self, case: Case, workload: Workload) -> Result:
        """Record that no time is left for a case."""
        stored = self._portable.held(case.id, workload.sha256)[0] if self._alone else self._store.get(case.id)
        last = max((launch.date for launch in stored.launches), default="") if stored else ""
        age = f"last measured on {last[:10]}" if last else "never measured here"
        why = f"not measured: {SPENT}; {age}"
        verdict = Verdict(case.id, "step_time_s", "inconclusive", why=why)
        outcome = Outcome("failed" if self._policy.strict else "skipped", f"{case.id} was {why}; raise --perf-budget")
        self._writer.write(lines(case, [workload], [], [], [verdict], outcome, 0.0, {}))
        return Result(case.id, {}, (verdict,), outcome)

    @property
    def _alone(self) -> bool:
        """Whether this run takes only dry runs."""
        return self.stage.plan.device == "none"

    def _against_reference(self, case: Case, workload: Workload, reference: Pool, progress: Progress) -> Found:
        """Compare exact metrics and memory by one launch a side, and times by duets."""
        begin = time.perf_counter()
        before, now = both_untimed(self.stage, case.id, workload, progress)
        launches = now + before
        if absent := without_program(case, reference.interpreter, before, now):
            raise UserError(absent)
        if broken := unable(before, now):
            why = f"{REFERENCE_UNABLE}: {broken.invalid}"
            exact = compare({}, {case.id: now}, {})
            return launches, [Verdict(case.id, "step_time_s", "new", why=why), *exact], ""
        remark = "" if has_dry_run(before) else why_not(now)
        upgrade = upgrade_from(reference.interpreter, self._policy.version_tolerance)
        compared = compare({case.id: before}, {case.id: now}, {case.id: case.tolerances}, upgrade)
        verdicts = [replace(verdict, against="reference") for verdict in compared]
        if not self.stage.plan.timed or spoilt(now) or spoilt(before):
            return launches, verdicts, remark
        parts = [DuetSide("reference", reference, workload), DuetSide("candidate", self.stage.pool, workload)]
        series = DuetSeries(self.stage, case.id, parts, self._deadline, progress)
        noisy = {name: upgrade.limit(row, case.tolerances.get(name, row.tolerance)) for name, row in METRICS.items()}
        timed, self._alpha_budget = against_reference(
            series,
            noisy,
            self._alpha_budget,
            self._policy.noise,
            screened=lambda: self._deadline.plain(time.perf_counter() - begin),
            thorough=self._policy.thorough,
        )
        timed += series.unseen(timed)
        return launches + series.judged(), [*map(upgrade.told, timed), *verdicts], remark

    def close(self) -> None:
        """End all processes, write the timesheet, and close the part.

        Raises:
            UserError: the part cannot be written; it is closed, and no process is left.
        """
        if self._confirmer:
            self._confirmer.close()
        self.stage.close()
        try:
            self._writer.write([{"kind": "timesheet", **self.stage.timesheet.to_json()}])
        finally:
            self._writer.close()


def require_workload(value: object) -> Workload:
    """Refuse a value that is no workload.

    Raises:
        UserError: the message has the value.
    """
    if not isinstance(value, Workload):
        raise UserError(
            f"perf() takes a workload, not {type(value).__name__}; "
            "build one with the fixtures training, generation, serving, forward, image_generation, denoiser_training, "
            "loading, operator, tokenizing or reading"
        )
    return value
