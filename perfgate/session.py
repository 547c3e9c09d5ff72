"""One run: cases in, verdicts out."""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from perfgate.errors import UserError
from perfgate.gate.judgement import against_baseline, beside_nearest, compare
from perfgate.gate.outcome import Outcome, decide
from perfgate.provision import provide
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch, medians
from perfgate.records.portable import PortableStore
from perfgate.records.runfile import Writer
from perfgate.records.store import Store
from perfgate.records.verdict import Verdict
from perfgate.stage.conductor import Effort, Stage
from perfgate.workload import Workload


@dataclass(frozen=True)
class Case:
    """What is known of a case before it runs.

    Attributes:
        id: node id below ``perf_root``.
        technique: the file's name without ``test_``.
        accept: the command that measures this case alone; ``None`` where nothing can be stored.
        tolerances: by metric, where the case names its own.
    """

    id: str
    technique: str
    accept: str | None
    tolerances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What ``perf`` returns.

    Attributes:
        metrics: median over the valid launches, by name.
        verdicts: one for each gated metric.
        outcome: how the case ends.
        remark: what else one should know, as a clause.
        ledger: of the dry run: parameters, FLOPs by group, memory by part; empty where there was none.
    """

    case: str
    metrics: Mapping[str, float]
    verdicts: tuple[Verdict, ...]
    outcome: Outcome
    remark: str = ""
    ledger: Mapping[str, Any] = field(default_factory=dict)


class Session:
    """Measures, judges and records one case after the other.

    Args:
        store: baselines of this machine.
        portable: baselines of these versions of torch and transformers.
        part: the file that this process's lines go to, to be merged into the run file.
        preload: modules that the fork servers import.
        effort: how much to measure.
        pairs: noisy case-metric pairs of the suite.
        strict: fail where one could not tell.
        update: update mode of this run, if any.
        reference: another interpreter to hold this one against, in place of what is stored.
    """

    def __init__(
        self,
        store: Store,
        portable: PortableStore,
        part: Path,
        preload: Sequence[str],
        effort: Effort,
        pairs: int,
        strict: bool,
        update: str | None,
        reference: str | None = None,
    ) -> None:
        self._store = store
        self._portable = portable
        self._writer = Writer(part)
        self._folder = Path(tempfile.mkdtemp(prefix="perfgate-"))
        alone = effort.device == "none"
        self.stage = Stage(preload, self._folder, effort, servers=1 if alone else 2, reference=reference)
        self._pairs = pairs
        self._strict = strict
        self._update = update

    def run_case(self, case: Case, workload: Workload, progress: Callable[[str], None]) -> Result:
        """Measure a case, hold it against its baseline, and write it down.

        Raises:
            Missing: a package that the workload needs is not installed.
            UserError: its baseline cannot be read, or the programs' libraries are missing, or the hub does not deliver.
        """
        alone = self.stage.effort.device == "none"
        baseline = None if alone else self._store.get(case.id)
        provide(workload, progress, weights=not alone)
        self.stage.start()
        begin = time.perf_counter()
        launches = [with_derived(launch) for launch in self.stage.measure(case.id, workload, progress)]
        took_s = time.perf_counter() - begin
        verdicts, remark = self._judge(case, workload, launches, baseline)
        faulty = [launch for launch in launches if launch.fault]
        outcome = decide(
            verdicts,
            fault=bool(faulty),
            strict=self._strict,
            update=self._update,
            accept=case.accept,
            output=faulty[-1].details.get("output", "") if faulty else "",
        )
        held = [baseline, self._portable.get(case.id)]
        self._writer.write(lines(case, workload, launches, held, verdicts, outcome, took_s))
        candidates = [launch for launch in launches if launch.side == "candidate"]
        ledger = next((launch.ledger for launch in candidates if launch.pass_name == "dry"), {})
        return Result(case.id, medians(candidates), tuple(verdicts), outcome, remark, ledger)

    def _judge(
        self, case: Case, workload: Workload, launches: Sequence[Launch], baseline: Baseline | None
    ) -> tuple[list[Verdict], str]:
        """Verdicts on what was measured and on what came of the dry run; and why there was none."""
        dry = [launch for launch in launches if launch.pass_name == "dry" and launch.side == "candidate"]
        failed = dry[0].invalid if dry else None
        alone = self.stage.effort.device == "none"
        if self.stage.reference:
            before = [launch for launch in launches if launch.side == "reference"]
            return compare({case.id: before}, {case.id: dry}, {case.id: case.tolerances}), failed or ""
        verdicts = []
        if not alone:
            measured = [launch for launch in launches if launch.pass_name != "dry"]
            verdicts = against_baseline(case.id, workload.sha256, measured, baseline, case.tolerances, self._pairs)
        stored = self._portable.get(case.id)
        if failed:
            if any(launch.final for launch in launches):
                return verdicts, ""
            return verdicts + self._undry(case, failed, alone, stored), "" if alone or stored else failed
        exact = against_baseline(case.id, workload.sha256, dry, stored, case.tolerances, self._pairs)
        if stored is None and (nearest := self._portable.nearest(case.id, workload.sha256)):
            exact = beside_nearest(exact, *nearest)
        return verdicts + exact, ""

    def _undry(self, case: Case, reason: str, alone: bool, stored: Baseline | None) -> list[Verdict]:
        """One verdict in place of those on all metrics of a dry run that was not possible."""
        if alone:
            return [Verdict(case.id, "operator_calls", "invalid", launches=0, why=reason)]
        return [Verdict(case.id, "operator_calls", "inconclusive", why=reason)] if stored else []

    def close(self) -> None:
        """End all processes and close the part."""
        self.stage.close()
        self._writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def lines(
    case: Case,
    workload: Workload,
    launches: Sequence[Launch],
    baselines: Sequence[Baseline | None],
    verdicts: Sequence[Verdict],
    outcome: Outcome,
    took_s: float,
) -> list[dict[str, Any]]:
    """The lines of a run file that tell of one case."""
    head = {
        "kind": "workload",
        "case": case.id,
        "workload": workload.sha256,
        "spec": workload.spec,
        "technique": case.technique,
        "setting": dict(workload.setting),
        "model": workload.model,
        "vanilla": workload.vanilla,
        "tolerance": dict(case.tolerances),
    }
    held: list[dict[str, Any]] = []
    for baseline in filter(None, baselines):
        sessions = {launch.session: launch.date for launch in baseline.launches}
        values = {name: baseline.values(name) for name in baseline.metrics}
        identity = {"workload": baseline.workload, "commit": baseline.commit, "date": baseline.date}
        held.append({"kind": "baseline", "case": case.id, **identity, "sessions": sessions, "values": values})
    end = {"kind": "case", "case": case.id, "outcome": outcome.kind, "message": outcome.message, "took_s": took_s}
    judged = [{"kind": "verdict", **verdict.to_json()} for verdict in verdicts]
    return [head, *(launch.to_json() for launch in launches), *held, *judged, end]


def with_derived(launch: Launch) -> Launch:
    """Add what follows from the steps: throughput and percentiles."""
    steps = launch.metrics.get("step_time_s")
    if launch.invalid or not isinstance(steps, list):
        return launch
    typical_s = statistics.median(steps)
    derived: dict[str, float] = {"step_time_p50_s": typical_s}
    if len(steps) >= 20:
        derived["step_time_p95_s"] = statistics.quantiles(steps, n=20)[-1]
    if launch.samples:
        derived["samples_per_s"] = launch.samples / typical_s
    if launch.tokens:
        derived["tokens_per_s"] = launch.tokens / typical_s
    return replace(launch, metrics={**launch.metrics, **derived})


def require_workload(value: object) -> Workload:
    """Refuse anything else that a case hands to ``perf``.

    Raises:
        UserError: naming what it got.
    """
    if not isinstance(value, Workload):
        raise UserError(
            f"perf() takes a workload, not {type(value).__name__}; "
            "build one with the fixtures training, generation or forward"
        )
    return value
