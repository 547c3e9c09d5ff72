"""The trace of a case: two steps recorded by torch's profiler, in a launch that measures nothing else."""

from pathlib import Path

from perfgate.measure.actor import LaunchFailed
from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.measure.steps import WARMUP_STEPS
from perfgate.shared.workload import Workload

STEPS = 2  # with two steps the trace also shows the time between steps
NO_TORCH = "its program does no work in torch"


def trace_launch(stage: Stage, workload: Workload, server: Server, into: Path) -> str:
    """Write the trace of a program's steps.

    Args:
        stage: the stage with the device, which nobody else uses meanwhile.
        workload: the workload to run.
        server: the server that the actor is forked from.
        into: the file, whose name ends in ``.json.gz``.

    Returns:
        The reason why there is no trace, as a clause; empty if it was written.
    """
    try:
        with stage.held(stage.timed(workload)), stage.actor(server, workload, "trace", into=into) as (actor, _):
            for _step in range(WARMUP_STEPS):
                stage.step(actor)
            # The profiler's own first steps are slower, so the second recording replaces the first.
            for _recording in range(2):
                stage.step(actor, STEPS, by_itself="trace")
            findings = stage.ask(actor, {"finish": True})["findings"]
    except LaunchFailed as failure:
        return failure.reason
    return "" if findings.get("traced") else NO_TORCH
