"""A GPU's yardstick, measured once a session; it shows whether the machine is still the same. Times are in seconds."""

from perfgate.measure.actor import LaunchFailed
from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.records.clocks import PREFIX
from perfgate.records.details import Yardstick
from perfgate.records.launch import YARDSTICK_VERSIONS
from perfgate.shared.workload import Workload
from perfgate.workloads.programs import workload_of

STEPS, TURNS = 4, 8


def health(stage: Stage, server: Server, workload: Workload) -> Yardstick:
    """The times of the yardstick's components, measured before a session's first timed launch and then kept.

    If it fails, cases continue without it, and ``missing`` has the reason.

    Args:
        stage: the stage with the device.
        server: the server that the actor is forked from.
        workload: the case's workload, which names the devices to lock.
    """
    if stage.health is None:
        with stage.held(stage.timed(workload)):
            stage.health = measured(stage, server)
    return stage.health


def measured(stage: Stage, server: Server) -> Yardstick:
    """Step the yardstick by itself; its first turn warms clocks and caches and is left out."""
    kind = stage.device.kind
    yardstick = workload_of(f"yardstick.{kind}", {"version": YARDSTICK_VERSIONS[kind]})
    try:
        with stage.actor(server, yardstick, "yardstick") as (actor, _):
            rows = [stage.step_yardstick(actor, STEPS) for _ in range(1 + TURNS)][1:]
    except LaunchFailed as failure:
        return Yardstick(kind, missing=failure.reason)
    parts = [name for name in rows[0] if name.removesuffix("_time_s") == name and not name.startswith(PREFIX)]
    return Yardstick(kind, YARDSTICK_VERSIONS[kind], STEPS, {part: [row[part] for row in rows] for part in parts})
