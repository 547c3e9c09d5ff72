"""The result of one case."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from perfgate.gate.outcome import Outcome
from perfgate.records.traces import Trace
from perfgate.records.verdict import Verdict


@dataclass(frozen=True)
class Result:
    """The result of one case, returned by ``perf`` and ``effect``.

    Attributes:
        metrics: the median over the valid launches, by metric.
        verdicts: one for each gated metric.
        outcome: the end of the case in pytest.
        remark: a clause for the case's line, such as why there was no dry run.
        ledger: the dry run's parameters, FLOPs by group and memory by part; empty without a dry run.
        steps_s: the step time of each valid timed launch.
        traces: the traces of its sides, if they were asked for.
    """

    case: str
    metrics: Mapping[str, float]
    verdicts: tuple[Verdict, ...]
    outcome: Outcome
    remark: str = ""
    ledger: Mapping[str, Any] = field(default_factory=dict)
    steps_s: tuple[float, ...] = ()
    traces: tuple[Trace, ...] = ()
