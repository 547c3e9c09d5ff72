"""The timed pass on a device whose calls return before the work is done, such as a GPU: bursts of steps."""

import math
from contextlib import ExitStack

from perfgate.measure.actor import LaunchFailed
from perfgate.measure.device_yardstick import health
from perfgate.measure.energy import energy
from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.measure.steps import (
    burst_steps,
    columns,
    completed,
    failed,
    looked_within,
    percentiles,
    steps_by_themselves,
    warmed_up,
    with_host_time,
)
from perfgate.measure.validity import steady
from perfgate.records.clocks import Value
from perfgate.records.details import Energy, Turns
from perfgate.records.launch import Launch
from perfgate.shared.workload import Workload

MIN_BURSTS = 5
ENERGY_S = 1.0  # seconds of steps for measuring energy; the counter is updated every 100 ms
LOAD_S = 0.2


def timed_launch(stage: Stage, case: str, workload: Workload, server: Server, number: int) -> Launch:
    """Step the case in bursts; the first one warms clocks and caches and is not counted.

    Clock and power are read within a burst at the end. In the first launch energy is measured over a long burst and a
    pause, because drivers update their energy counter too seldom for shorter bursts.
    """
    yardstick = health(stage, server, workload)
    start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="time")
    with stage.held(stage.timed(workload)), ExitStack() as stack:
        try:
            actor, ready = stack.enter_context(stage.actor(server, workload, "time"))
            warm = warmed_up(stage, actor)
            steps, longer = burst_steps(warm.step_s), burst_steps(warm.step_s, LOAD_S if number else ENERGY_S)
            stage.step(actor, steps)
            rows = [stage.step(actor, steps) for _ in range(count_bursts(stage, warm.step_s, steps))]
            before = stage.device.status()
            within = looked_within(stage, actor, longer, longer * warm.step_s)
            after = stage.device.status()
            rested = None if number else stage.device.rested()
            by_themselves = steps_by_themselves(stage, actor, ready)
            metrics: dict[str, Value] = stage.ask(actor, {"finish": True})["metrics"]
        except LaunchFailed as failure:
            return failed(start, failure)
    # Within a burst, only the device's own clock can time single steps.
    spans_s = [span for row in rows for span in row.pop("device_spans_s", ())]
    metrics |= (
        columns(rows)
        | by_themselves
        | percentiles(spans_s)
        | energy(before, within, after, 0 if number else longer + 1, rested)
    )
    metrics |= {"setup_s": ready["setup_s"], "first_step_s": warm.first_s}
    launch = completed(start, with_host_time(metrics), ready)
    launch = launch.detailed(turns=Turns("case", burst_steps=steps), start=ready["start"], yardstick=yardstick)
    if before and "energy_j" in metrics:
        launch = launch.detailed(energy=Energy(before.energy_from))
    return steady(launch, [row["step_time_s"] for row in rows])


def count_bursts(stage: Stage, step_s: float, steps: int) -> int:
    """The number of bursts: as many as fill the plan's time, and enough to tell whether they have settled."""
    wanted = math.ceil(stage.plan.steps_s / (steps * max(step_s, 1e-6)))
    return min(max(wanted, MIN_BURSTS), stage.plan.max_steps)
