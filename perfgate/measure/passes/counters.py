"""The counters pass: a few steps with every operator watched, then a few in which only Python's calls are counted.

The pass also reads back the settings in force. Python's calls come last, in the same launch: the program is warm, all
other instruments have finished and taken their hooks away, and no time is taken in this pass. A case therefore pays
for two or three more steps, and not for another launch.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from perfgate.measure.actor import Actor
from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.measure.steps import Row, columns, completed, untimed_launch
from perfgate.measure.validity import other_settings
from perfgate.records.details import Findings
from perfgate.records.launch import Launch
from perfgate.records.layers import collapsed
from perfgate.shared.metrics import PYTHON_CALLS, metric
from perfgate.shared.workload import Workload

REPEATS = "repeats_calls"
MAX_STEPS = 8  # the most steps to wait until the count of Python's calls repeats itself


def counters_launch(
    stage: Stage, case: str, workload: Workload, server: Server, number: int, compiled: Path | None = None
) -> Launch:
    """Count operators, graphs and synchronizations, and read back results and settings.

    A launch with other settings than requested is rejected.

    Args:
        stage: the stage with the device.
        case: the case's id.
        workload: the workload to run.
        server: the server to fork from.
        number: the number of the launch.
        compiled: the folder for the compilers' caches; by default the one that all processes of this user share.
    """
    start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="counters")
    return untimed_launch(stage, start, workload, server, finished, answered, into=compiled)


def cold_counters_launch(stage: Stage, case: str, workload: Workload, server: Server, number: int) -> Launch:
    """The same with empty caches, so that the time of compilation depends on no earlier process."""
    with tempfile.TemporaryDirectory(prefix="compiled-", dir=server.folder, ignore_cleanup_errors=True) as folder:
        return counters_launch(stage, case, workload, server, number, Path(folder).absolute())


def answered(stage: Stage, actor: Actor) -> Row:
    """Let the other instruments finish, then count Python's calls until two successive steps have the same count."""
    answer = stage.ask(actor, {"finish": True, "but": PYTHON_CALLS})
    if not answer["findings"].pop(REPEATS, True):
        return answer
    counts: list[int] = []
    while len(counts) < MAX_STEPS and (len(counts) < 2 or counts[-1] != counts[-2]):
        row = stage.step(actor, by_itself=PYTHON_CALLS)
        if PYTHON_CALLS not in row:
            break
        counts.append(row[PYTHON_CALLS])
    findings = stage.ask(actor, {"finish": True})["findings"]
    if counts and counts[-1] in counts[-2:-1]:
        answer["metrics"][PYTHON_CALLS] = counts[-1]
    else:
        findings.pop(PYTHON_CALLS)
        findings["uncounted"] = findings["uncounted"] or varied(counts)
    return {**answer, "findings": answer["findings"] | findings}


def varied(counts: Sequence[int]) -> str:
    """A clause that says that the count does not repeat itself."""
    return f"it differs from step to step: {', '.join(f'{count:,}' for count in counts)}"


def finished(start: Launch, ready: Row, steps: Sequence[Row], answer: Row) -> Launch:
    """The launch of a successful pass; see ``untimed_launch``."""
    findings = answer["findings"]
    asked = findings.pop("asked", {})
    effective, outcome = findings.pop("effective", {}), findings.pop("outcome", {})
    assumed, tuned = findings.pop("assumed", {}), findings.pop("tuned", False)
    python = {name: findings.pop(name) for name in ("counted_under", "uncounted") if name in findings}
    tables = {name: collapsed(table) for name, table in findings.items()}
    told = Findings(effective, outcome, tables, assumed=assumed, tuned=tuned, **python)
    told_by_steps = columns(steps)
    # A metric that the program reports for each step counts only in the pass that measures it.
    whole = {name: value for name, value in answer["metrics"].items() if name not in told_by_steps}
    counted = {name: values for name, values in told_by_steps.items() if metric(name).brought_in("counters")}
    launch = completed(start, {**whole, **counted}, ready).detailed(findings=told)
    wrong = other_settings(asked, effective)
    return launch.rejected(wrong, final=True) if wrong else launch
