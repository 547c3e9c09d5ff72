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
from perfgate.gate.judgement import against_baseline
from perfgate.gate.outcome import Outcome, decide
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch, medians
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
        accept: the command that measures this case alone.
        tolerances: by metric, where the case names its own.
    """

    id: str
    technique: str
    accept: str
    tolerances: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What ``perf`` returns.

    Attributes:
        metrics: median over the valid launches, by name.
        verdicts: one for each gated metric.
        outcome: how the case ends.
    """

    case: str
    metrics: Mapping[str, float]
    verdicts: tuple[Verdict, ...]
    outcome: Outcome


class Session:
    """Measures, judges and records one case after the other.

    Args:
        store: baselines of this machine.
        part: the file that this process's lines go to, to be merged into the run file.
        preload: modules that the fork servers import.
        effort: how much to measure.
        pairs: noisy case-metric pairs of the suite.
        strict: fail where one could not tell.
        update: update mode of this run, if any.
    """

    def __init__(
        self,
        store: Store,
        part: Path,
        preload: Sequence[str],
        effort: Effort,
        pairs: int,
        strict: bool,
        update: str | None,
    ) -> None:
        self._store = store
        self._writer = Writer(part)
        self._folder = Path(tempfile.mkdtemp(prefix="perfgate-"))
        self.stage = Stage(preload, self._folder, effort)
        self._pairs = pairs
        self._strict = strict
        self._update = update

    def run_case(self, case: Case, workload: Workload, progress: Callable[[str], None]) -> Result:
        """Measure a case, hold it against its baseline, and write it down.

        Raises:
            UserError: its baseline cannot be read, or the programs' libraries are missing.
        """
        baseline = self._store.get(case.id)
        self.stage.start()
        begin = time.perf_counter()
        launches = [with_derived(launch) for launch in self.stage.measure(case.id, workload, progress)]
        took_s = time.perf_counter() - begin
        verdicts = against_baseline(case.id, workload.sha256, launches, baseline, case.tolerances, self._pairs)
        faulty = [launch for launch in launches if launch.fault]
        outcome = decide(
            verdicts,
            fault=bool(faulty),
            strict=self._strict,
            update=self._update,
            accept=case.accept,
            output=faulty[-1].details.get("output", "") if faulty else "",
        )
        self._writer.write(lines(case, workload, launches, baseline, verdicts, outcome, took_s))
        return Result(case.id, medians(launches), tuple(verdicts), outcome)

    def close(self) -> None:
        """End all processes and close the part."""
        self.stage.close()
        self._writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def lines(
    case: Case,
    workload: Workload,
    launches: Sequence[Launch],
    baseline: Baseline | None,
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
    if baseline is not None:
        sessions = {launch.session: launch.date for launch in baseline.launches}
        values = {name: baseline.values(name) for name in baseline.metrics}
        identity = {"workload": baseline.workload, "commit": baseline.commit, "date": baseline.date}
        held = [{"kind": "baseline", "case": case.id, **identity, "sessions": sessions, "values": values}]
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
