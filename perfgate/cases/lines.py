"""One case, and the lines of the run file about it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from perfgate.gate.outcome import Outcome
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch
from perfgate.records.runfile_lines import LINES
from perfgate.records.traces import Trace
from perfgate.records.verdict import Verdict
from perfgate.shared.workload import Workload


@dataclass(frozen=True)
class Case:
    """A case before it runs.

    Attributes:
        id: node id below ``perf_root``.
        technique: the file's name without ``test_``.
        accept: the command that measures this case alone; ``None`` if nothing can be stored.
        tolerances: the case's own tolerances, by metric.
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
    surroundings: Mapping[str, str],
    traces: Sequence[Trace] = (),
) -> list[dict[str, Any]]:
    """The run file's lines about one case: its own workload before the compared one, and its end line last."""
    known = {"surroundings": dict(surroundings)} if surroundings else {}
    heads = [
        {
            "kind": "workload",
            **({} if number else {"case": case.id, "tolerance": dict(case.tolerances), **known}),
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
        values = {name: values for name in baseline.metrics if (values := baseline.values(name))}
        identity = {"workload": baseline.workload, "commit": baseline.commit, "date": baseline.date}
        # Only a failed case stores the baseline's ledger, for reports to name the modules; elsewhere it wastes space.
        ledger = baseline.launches[-1].ledger if outcome.kind == "failed" and baseline.launches else {}
        told_inside = {"ledger": dict(ledger)} if ledger else {}
        about = {"kind": "baseline", "case": case.id, **identity, "sessions": sessions, "values": values}
        held.append({**about, **told_inside})
    judged = [{"kind": "verdict", **verdict.to_json()} for verdict in verdicts]
    traced = [trace.to_json() for trace in traces]
    all_ = [*heads, *(launch.to_json() for launch in launches), *held, *judged, *traced]
    told = {"outcome": outcome.kind, "message": outcome.message, "took_s": took_s, "ended": time.time()}
    count = sum(line.get("case") == case.id for line in all_) + 1  # readers notice by this count if a line was lost
    return [*all_, {"kind": "case", "case": case.id, LINES: count, **told}]
