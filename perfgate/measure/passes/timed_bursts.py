"""The timed pass on a device that does its work later: bursts of steps, without waiting in between."""

import math
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from perfgate.measure.actor import Actor, LaunchFailed
from perfgate.measure.device_yardstick import DeviceYardstick
from perfgate.measure.devices.base import Status
from perfgate.measure.passes.timed import columns, completed, failed, warmed_up
from perfgate.measure.server import Server
from perfgate.measure.validity import steady
from perfgate.records.launch import Launch, Value
from perfgate.shared.workload import Workload

if TYPE_CHECKING:
    from perfgate.measure.stage import Stage

BURST_STEPS = 4
BURST_S = 0.1
MIN_BURSTS = 5
ENERGY_S = 0.5


def timed_launch(stage: "Stage", case: str, workload: Workload, server: Server, number: int) -> Launch:
    """The case in bursts and the yardstick, in turn; the first burst brings clocks and caches up and is left out.

    Energy is read over a longer burst after these: drivers add to their counter only now and then, so it could not be
    told apart what the case took and what the yardstick did.
    """
    first = "case" if number % 2 == 0 else "yardstick"
    start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="time")
    with stage.held(stage.timed(workload)), ExitStack() as stack:
        try:
            actor, ready = stack.enter_context(stage.actor(server, workload, "time"))
            warm = warmed_up(stage, actor)
            steps, longer = burst_steps(warm.step_s), burst_steps(warm.step_s, ENERGY_S)
            stage.step(actor, steps)
            yardstick = DeviceYardstick(stage, server, stack)
            rows = in_turn(stage, actor, yardstick, steps, count_bursts(stage, warm.step_s, steps), first)
            before = stage.device.status()
            stage.step(actor, longer)
            after = stage.device.status()
            phases = stage.phases(actor, ready)
            metrics: dict[str, Value] = stage.ask(actor, {"finish": True})["metrics"]
        except LaunchFailed as failure:
            return failed(start, failure)
    spans_s = [span for row in rows for span in row.pop("device_spans_s", ())]
    metrics |= columns(rows) | phases | of_steps(spans_s) | of_energy(before, after, longer + 1)
    metrics |= {"setup_s": ready["setup_s"], "first_step_s": warm.first_s}
    details = {"burst_steps": steps, "first": first, **ready["launched"], **yardstick.details}
    launch = replace(completed(start, metrics, ready, details), yardstick_s=yardstick.yardstick_s)
    return steady(launch, [row["step_time_s"] for row in rows])


def in_turn(
    stage: "Stage", actor: Actor, yardstick: DeviceYardstick, steps: int, count: int, first: str
) -> list[dict[str, Any]]:
    """Bursts of the case, each with the yardstick's steps before or after it; returns what the bursts brought."""
    rows = []
    for _ in range(count):
        if first != "case":
            yardstick.step()
        rows.append(stage.step(actor, steps))
        if first == "case":
            yardstick.step()
    return rows


def burst_steps(step_s: float, least_s: float = BURST_S) -> int:
    """Steps of a burst: enough for the launch queue to fill, at least four steps and 100 ms."""
    return max(BURST_STEPS, math.ceil(least_s / max(step_s, 1e-6)))


def count_bursts(stage: "Stage", step_s: float, steps: int) -> int:
    """Bursts of a launch: as many as fill its time, and not too few to tell whether they have settled."""
    wanted = math.ceil(stage.plan.steps_s / (steps * max(step_s, 1e-6)))
    return min(max(wanted, MIN_BURSTS), stage.plan.max_steps)


def of_steps(spans_s: Sequence[float]) -> dict[str, Value]:
    """Percentiles over single steps, which only the device's own clock tells within a burst."""
    if not spans_s:
        return {}
    found: dict[str, Value] = {"step_time_p50_s": statistics.median(spans_s)}
    if len(spans_s) >= 20:
        found["step_time_p95_s"] = statistics.quantiles(spans_s, n=20)[-1]
    return found


def of_energy(before: Status | None, after: Status | None, steps: int) -> dict[str, Value]:
    """Energy of a step, and power and clock at the end, as far as the driver tells."""
    if before is None or after is None:
        return {}
    told: dict[str, Any] = {"power_w": after.power_w, "clock_mhz": after.clock_mhz}
    if before.energy_j is not None and after.energy_j is not None:
        told["energy_j"] = (after.energy_j - before.energy_j) / steps
    return {name: value for name, value in told.items() if value is not None}


def with_host_share(launches: Sequence[Launch]) -> list[Launch]:
    """Add to timed launches the share of a step in which the device waited for the host.

    The gap between a step's time and ``device_busy_s``, which the counters pass reads from the profiler: an event at a
    step's end comes as late as the host's last call, so events alone show no gap.
    """
    busy = [x.value("device_busy_s") for x in launches if "device_busy_s" in x.metrics and not x.invalid]
    if not busy:
        return list(launches)
    busy_s = statistics.median(busy)
    found = []
    for launch in launches:
        if launch.pass_name == "time" and not launch.invalid:
            share = max(0.0, 1 - busy_s / launch.value("step_time_s"))
            launch = replace(launch, metrics={**launch.metrics, "host_bound_share": share})
        found.append(launch)
    return found
