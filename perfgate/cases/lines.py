"""The account of one case: the lines of the run file that tell of it, and what follows from its launches."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from perfgate.gate.outcome import Outcome
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict
from perfgate.shared.workload import Workload

# Work that a dry run counts, its rate, the device's rate beside it, and the share.
RATES = (
    ("flops", "flops_per_s", "peak_flops_per_s", "flops_share"),
    ("moved_bytes", "moved_bytes_per_s", "peak_bytes_per_s", "bandwidth_share"),
)


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


def lines(
    case: Case,
    workloads: Sequence[Workload],
    launches: Sequence[Launch],
    baselines: Sequence[Baseline | None],
    verdicts: Sequence[Verdict],
    outcome: Outcome,
    took_s: float,
) -> list[dict[str, Any]]:
    """The lines of a run file that tell of one case; its own workload comes before one that it is held against."""
    heads = [
        {
            "kind": "workload",
            **({} if number else {"case": case.id, "tolerance": dict(case.tolerances)}),
            "workload": workload.sha256,
            "spec": workload.spec,
            "technique": case.technique,
            "setting": dict(workload.setting),
            "model": workload.model,
            "vanilla": workload.vanilla,
        }
        for number, workload in enumerate(workloads)
    ]
    held: list[dict[str, Any]] = []
    for baseline in filter(None, baselines):
        sessions = {launch.session: launch.date for launch in baseline.launches}
        values = {name: baseline.values(name) for name in baseline.metrics}
        identity = {"workload": baseline.workload, "commit": baseline.commit, "date": baseline.date}
        held.append({"kind": "baseline", "case": case.id, **identity, "sessions": sessions, "values": values})
    end = {"kind": "case", "case": case.id, "outcome": outcome.kind, "message": outcome.message, "took_s": took_s}
    judged = [{"kind": "verdict", **verdict.to_json()} for verdict in verdicts]
    return [*heads, *(launch.to_json() for launch in launches), *held, *judged, end]


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
    # What a burst's own clock tells of single steps is better than what follows from bursts.
    return replace(launch, metrics={**derived, **launch.metrics})


def with_work(launches: Sequence[Launch]) -> list[Launch]:
    """Add to timed launches the rate at which they did the work that the dry run of the same workload counted.

    FLOP/s and bytes/s, and both as shares of what the device did beside the steps, where that was measured.
    """
    dry = {(x.side, x.workload): x for x in launches if x.pass_name == "dry" and not x.invalid}
    return [
        replace(launch, metrics={**rates(launch, dry[launch.side, launch.workload]), **launch.metrics})
        if launch.pass_name == "time" and not launch.invalid and (launch.side, launch.workload) in dry
        else launch
        for launch in launches
    ]


def rates(timed: Launch, dry: Launch) -> dict[str, float]:
    """What a timed launch achieved of the work of a step."""
    found: dict[str, float] = {}
    for work, name, peak, share in RATES:
        if amount := dry.value(work):
            found[name] = amount / timed.value("step_time_s")
            if peak in timed.metrics:
                spans_s, peaks = timed.steps("step_time_s"), timed.steps(peak)
                found[share] = statistics.median(amount / s / p for s, p in zip(spans_s, peaks, strict=True))
    return found
