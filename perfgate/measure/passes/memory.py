"""The memory pass: a few steps with the memory profiler on."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.measure.steps import Row, columns, completed, untimed_launch
from perfgate.records.clocks import Value
from perfgate.records.details import Details
from perfgate.records.launch import Launch
from perfgate.records.layers import collapsed
from perfgate.shared.metrics import METRICS, metric
from perfgate.shared.workload import Workload


def memory_launch(stage: Stage, case: str, workload: Workload, server: Server, number: int) -> Launch:
    """Measure peak memory. Nothing is timed, so other processes may use the CPU."""
    start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="memory")
    return untimed_launch(stage, start, workload, server, finished)


def finished(start: Launch, ready: Row, steps: Sequence[Row], answer: Row) -> Launch:
    """The launch of a successful pass; see ``untimed_launch``."""
    steady = {name: without_first(value) for name, value in answer["metrics"].items()}
    told = {name: values for name, values in columns(steps).items() if metric(name).brought_in("memory")}
    tables = {row.cells.table for row in METRICS.values() if row.cells and row.brought_by == "memory"}
    ledger = {name: collapsed(table) for name, table in answer["findings"].items() if name in tables}
    found = Details.from_json({name: value for name, value in answer["findings"].items() if name not in tables})
    launch = replace(completed(start, with_net_peak(steady | told), ready), details=found)
    return launch.detailed(findings=replace(found.findings, ledger=ledger))


def with_net_peak(metrics: Mapping[str, Value]) -> dict[str, Value]:
    """Add ``peak_net_bytes``, the peak of each step without workspaces, if their size is known."""
    workspace_bytes, peaks = metrics.get("workspace_bytes"), metrics.get("peak_memory_bytes")
    if not isinstance(workspace_bytes, int | float) or not isinstance(peaks, list):
        return dict(metrics)
    return {**metrics, "peak_net_bytes": [peak - workspace_bytes for peak in peaks]}


def without_first(value: Value) -> Value:
    """The values without the first step's, which includes creating gradients and optimizer state."""
    return value[1:] if isinstance(value, list) else value
