"""Helpers of the passes: warming a program up, counting its turns, and making a launch from its answers."""

import math
import os
import statistics
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from perfgate.measure.actor import Actor, LaunchFailed
from perfgate.measure.devices.base import Status
from perfgate.measure.server import Server, tail
from perfgate.measure.stage import Stage
from perfgate.measure.validity import spans
from perfgate.records.clocks import STEP, Times, Value, by_clock
from perfgate.records.launch import Launch
from perfgate.shared.workload import Workload

WARMUP_STEPS = 3
FEW_STEPS = 2
MOST_STEPS = 8  # the most steps to wait until no more CUDA graphs are captured
BURST_S = 0.1
NOTHING_S = 1e-9  # less than any clock can resolve; a ratio of times needs a time above 0

Row = dict[str, Any]


@dataclass(frozen=True)
class Warmth:
    """The times of a program's first steps, in seconds.

    Attributes:
        first_s: the time of the first step.
        step_s: the time of the shortest step.
        beside_s: the shortest time of a turn beyond its step; some programs also measure the machine in each turn.
    """

    first_s: float
    step_s: float
    beside_s: float

    def turn_s(self, steps: int = 1) -> float:
        """The seconds of a turn with this many steps."""
        return steps * self.step_s + self.beside_s


def warmed_up(stage: Stage, actor: Actor) -> Warmth:
    """Let a program take its first steps."""
    steps, turns = [], []
    for _ in range(WARMUP_STEPS):
        begin = time.perf_counter()
        steps.append(float(stage.step(actor)["step_time_s"]))
        turns.append(time.perf_counter() - begin)
    return Warmth(steps[0], min(steps), max(min(turns) - min(steps), 0.0))


def burst_steps(step_s: float, least_s: float = BURST_S) -> int:
    """The number of steps in a burst: as many as take 100 ms, in which the device's launch queue fills."""
    return math.ceil(least_s / max(step_s, 1e-6))


def steps_by_themselves(
    stage: Stage, actor: Actor, ready: Mapping[str, Any], only: Container[str] | None = None
) -> dict[str, Value]:
    """Take a few more steps for measurements that would slow down timed steps.

    Such measurements are the device's time in kernels, the times of a step's phases, and the communication between
    ranks.

    Args:
        stage: the stage with the device.
        actor: the actor, after its timed steps.
        ready: the actor's answer when its program was built; ``by_itself`` lists the measurements.
        only: the measurements to take; all by default.
    """
    found: dict[str, Value] = {}
    for what in ready["by_itself"]:
        if only is not None and what not in only:
            continue
        rows = [stage.step(actor, by_itself=what) for _ in range(FEW_STEPS)]
        found |= {name: [row[name] for row in rows if name in row] for name in rows[0]}
    return found


def with_host_time(metrics: Mapping[str, Value]) -> dict[str, Value]:
    """Add ``host_time_s``, the part of a step beyond its kernels, in which the device waits for the host.

    The time in kernels comes from the profiler, in other steps of the same launch. Events alone show no gap, because
    the event at a step's end comes as late as the host's last call.
    """
    if "device_time_s" not in metrics:
        return dict(metrics)
    device_s, steps_s = statistics.median(spans(metrics["device_time_s"])), spans(metrics[STEP])
    host_s: list[float] = [max(step_s - device_s, NOTHING_S) for step_s in steps_s]
    share = statistics.median(host / step for host, step in zip(host_s, steps_s, strict=True))
    return {**metrics, "host_time_s": host_s, "host_bound_share": share}


def last_answer(stage: Stage, actor: Actor) -> Row:
    """Let all instruments finish."""
    return stage.ask(actor, {"finish": True})


def untimed_launch(
    stage: Stage,
    start: Launch,
    workload: Workload,
    server: Server,
    finish: Callable[[Launch, Row, Sequence[Row], Row], Launch],
    answered: Callable[[Stage, Actor], Row] = last_answer,
    into: Path | None = None,
) -> Launch:
    """Launch a program for a few steps that are not timed.

    Args:
        stage: the stage with the device.
        start: the launch with everything that is known before it begins, such as its pass.
        workload: the workload to run.
        server: the server that the actor is forked from.
        finish: makes the launch from four arguments: ``start``; the actor's answer when its program was built; a row
            for each step except the first, in which gradients and optimizer state are created; the actor's last answer.
        answered: a function that gets the actor's last answer.
        into: a file or folder for an instrument.
    """
    try:
        with (
            stage.held(stage.untimed(workload)),
            stage.actor(server, workload, start.pass_name or "", into=into) as (actor, ready),
        ):
            steps = [stage.step(actor) for _ in range(1 + FEW_STEPS)]
            while sum(step.get("graph_captures", 0) for step in steps[-FEW_STEPS:]) and len(steps) < MOST_STEPS:
                steps.append(stage.step(actor))
            steps = steps[-1 - FEW_STEPS :]
            answer = answered(stage, actor)
    except LaunchFailed as failure:
        return failed(start, failure)
    return finish(start, ready, steps[1:], answer)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Move this process to the actors' core while they take turns.

    A turn then does not have to wake a process on another core, which took 10 to 20 times as long in a virtual machine
    (``benchmarks/launch.py``). This process sleeps during a step.
    """
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def completed(start: Launch, metrics: Mapping[str, Value], ready: Mapping[str, Any]) -> Launch:
    """A successful launch, with its metrics in wall time and in processor time."""
    wall, processor = by_clock(metrics)
    other = Times(processor) if STEP in processor else None
    return replace(start, metrics=wall, other=other, samples=ready["samples"], tokens=ready["tokens"])


def failed(start: Launch, failure: LaunchFailed) -> Launch:
    """A failed launch, with the reason and the last lines that it printed."""
    rejected = start.rejected(failure.reason, failure.fault, failure.final)
    return rejected.detailed(output=tail(failure.output))


def columns(steps: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    """Turn mappings, one for each step, into lists, one for each metric."""
    return {name: [step[name] for step in steps] for name in steps[0]}


def mean_of(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric."""
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}


def percentiles(spans_s: Sequence[float]) -> dict[str, Value]:
    """The median of single steps and, of at least 20 steps, the 95th percentile; empty without steps."""
    if not spans_s:
        return {}
    found: dict[str, Value] = {"step_time_p50_s": statistics.median(spans_s)}
    if len(spans_s) >= 20:
        found["step_time_p95_s"] = statistics.quantiles(spans_s, n=20)[-1]
    return found


def looked_within(stage: Stage, actor: Actor, steps: int, took_s: float) -> Status | None:
    """Take a burst and look at the device in its middle, because clock and power fall as soon as it has no work.

    Args:
        stage: the stage with the device.
        actor: the actor that takes the burst.
        steps: the number of steps in the burst.
        took_s: the seconds that the burst takes.

    Returns:
        The status under load; ``None`` if the burst was over before the look, or the driver reports nothing.
    """
    seen: list[Status | None] = []
    look = threading.Timer(took_s / 2, lambda: seen.append(stage.device.status()))
    look.start()
    try:
        stage.step(actor, steps)
        over = not seen
    finally:
        look.cancel()
        look.join()
    return None if over else seen[0]
