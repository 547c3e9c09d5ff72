"""Steps and what becomes of them: warming a program up, counting its turns, and making a launch of what it measured."""

import math
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from perfgate.measure.actor import Actor, LaunchFailed
from perfgate.measure.devices.base import Status
from perfgate.measure.server import Server, tail
from perfgate.measure.stage import Stage
from perfgate.records.clocks import STEP, Times, Value, by_clock
from perfgate.records.launch import Launch
from perfgate.shared.workload import Workload

WARMUP_STEPS = 3
FEW_STEPS = 2
BURST_STEPS = 4
BURST_S = 0.1

Row = dict[str, Any]


@dataclass(frozen=True)
class Warmth:
    """How long the first steps of a program took.

    Attributes:
        first_s: the first step.
        step_s: the shortest step.
        beside_s: what the shortest turn took beyond its step: some programs measure the machine beside themselves.
    """

    first_s: float
    step_s: float
    beside_s: float

    def turn_s(self, steps: int = 1) -> float:
        """How long a turn of so many steps takes."""
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
    """The number of steps in a burst: enough to fill the device's launch queue, at least four steps and 100 ms."""
    return max(BURST_STEPS, math.ceil(least_s / max(step_s, 1e-6)))


def steps_by_themselves(stage: Stage, actor: Actor, ready: Mapping[str, Any]) -> dict[str, Value]:
    """Take the few steps that a program wants for measurements which would slow down timed steps.

    Such measurements are the times of a step's phases, and what ranks send each other.

    Args:
        stage: with the device.
        actor: after its timed steps.
        ready: the actor's answer when its program was built; ``by_itself`` lists the measurements.
    """
    found: dict[str, Value] = {}
    for what in ready["by_itself"]:
        rows = [stage.step(actor, by_itself=what) for _ in range(FEW_STEPS)]
        found |= {name: [row[name] for row in rows if name in row] for name in rows[0]}
    return found


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
) -> Launch:
    """Launch a program for a few steps of which no time is taken.

    Args:
        stage: with the device.
        start: the launch as it is known before it begins; it names the pass.
        workload: what to run.
        server: that the actor is forked from.
        finish: makes the launch of four things: ``start``; the actor's answer when its program was built; one row a
            step without the first one, in which gradients and optimizer state come into being; its last answer.
        answered: gets the last answer.
    """
    try:
        with (
            stage.held(stage.untimed(workload)),
            stage.actor(server, workload, start.pass_name or "") as (actor, ready),
        ):
            steps = [stage.step(actor) for _ in range(1 + FEW_STEPS)]
            answer = answered(stage, actor)
    except LaunchFailed as failure:
        return failed(start, failure)
    return finish(start, ready, steps[1:], answer)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """Stay on the actors' core while they take turns.

    A turn then wakes nobody on another core, which took 10 to 20 times as long in a virtual machine
    (``benchmarks/launch.py``). The stage sleeps while a step goes on.
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
    """The launch that went through, with its wall times and, beside them, its processor times."""
    wall, processor = by_clock(metrics)
    other = Times(processor) if STEP in processor else None
    return replace(start, metrics=wall, other=other, samples=ready["samples"], tokens=ready["tokens"])


def failed(start: Launch, failure: LaunchFailed) -> Launch:
    """The launch that ended early, with the reason and the last lines that it printed."""
    rejected = start.rejected(failure.reason, failure.fault, failure.final)
    return rejected.detailed(output=tail(failure.output))


def columns(steps: Sequence[Mapping[str, Any]]) -> dict[str, Value]:
    """From one mapping a step to one list a metric."""
    return {name: [step[name] for step in steps] for name in steps[0]}


def mean_of(rows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each metric."""
    return {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}


def percentiles(spans_s: Sequence[float]) -> dict[str, Value]:
    """Median of single steps, and 95th percentile where there are at least 20; nothing of no steps."""
    if not spans_s:
        return {}
    found: dict[str, Value] = {"step_time_p50_s": statistics.median(spans_s)}
    if len(spans_s) >= 20:
        found["step_time_p95_s"] = statistics.quantiles(spans_s, n=20)[-1]
    return found


def energy(before: Status | None, after: Status | None, steps: int) -> dict[str, Value]:
    """Energy of a step in joules, and power and clock at the end, as far as the driver tells.

    Args:
        before: the device's status before the steps.
        after: its status after them.
        steps: how many were taken in between.
    """
    if before is None or after is None:
        return {}
    told: dict[str, Any] = {"power_w": after.power_w, "clock_mhz": after.clock_mhz}
    if before.energy_j is not None and after.energy_j is not None:
        told["energy_j"] = (after.energy_j - before.energy_j) / steps
    return {name: value for name, value in told.items() if value is not None}
