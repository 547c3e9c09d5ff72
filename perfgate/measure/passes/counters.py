"""The counters pass: few steps with every operator watched, and the settings that are really in force."""

from collections.abc import Sequence

from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.measure.steps import Row, columns, completed, untimed_launch
from perfgate.measure.validity import other_settings
from perfgate.records.details import Findings
from perfgate.records.launch import Launch
from perfgate.records.layers import collapsed
from perfgate.shared.metrics import metric
from perfgate.shared.workload import Workload


def counters_launch(stage: Stage, case: str, workload: Workload, server: Server, number: int) -> Launch:
    """Count operators, graphs and synchronizations, and read back outcomes and settings.

    A launch whose settings are not those asked for may not be used.
    """
    start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="counters")
    return untimed_launch(stage, start, workload, server, finished)


def finished(start: Launch, ready: Row, steps: Sequence[Row], answer: Row) -> Launch:
    """The launch that went through; see ``untimed_launch``."""
    findings = answer["findings"]
    asked = findings.pop("asked", {})
    effective, outcome = findings.pop("effective", {}), findings.pop("outcome", {})
    told = Findings(effective, outcome, {name: collapsed(table) for name, table in findings.items()})
    counted = {name: values for name, values in columns(steps).items() if metric(name).brought_in("counters")}
    launch = completed(start, {**answer["metrics"], **counted}, ready).detailed(findings=told)
    wrong = other_settings(asked, effective)
    return launch.rejected(wrong, final=True) if wrong else launch
