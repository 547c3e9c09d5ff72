"""Measures the overhead of a launch (without the program's own set-up) and of a turn (there and back).

    python -m benchmarks.launch [--launches 40] [--turns 5000]

Once a server with torch and transformers is running, a launch should take at most 50 ms, and a turn at most 100 µs. The
launches run the real Trainer. The turns go to a program that does nothing, timed by the usual clock.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from fixtures.models import models
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.measure.steps import on_core
from perfgate.shared.workload import Workload
from perfgate.workloads import tasks


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--launches", type=int, default=40)
    parser.add_argument("--turns", type=int, default=5000)
    options = parser.parse_args()
    modules = ["perfgate.actor.programs.trainer", "perfgate.actor.yardsticks.cpu"]
    stage = Stage(modules, Path(tempfile.mkdtemp()), MeasurementPlan())
    stage.start()
    training = tasks.training(models()["gpt2-quick"])
    try:
        ends = []
        for _ in range(options.launches):
            with stage.actor(stage.pool.next(), training, "time"):
                begin = time.perf_counter()
            ends.append(time.perf_counter() - begin)
        with on_core(stage.core):
            trips = round_trips(stage, options.turns)
    finally:
        stage.close()
    print(f"{'':38} {'n':>6} {'median':>9} {'p95':>9} {'max':>9}")
    show("launch beyond set-up (ms)", [value * 1e3 for value in stage.timesheet.fork_s[: options.launches]])
    show("ending a launch (ms)", [value * 1e3 for value in ends])
    show("turn, there and back (µs)", [value * 1e6 for value in trips])
    print(f"servers up after {stage.timesheet.servers_s:.1f} s")


def round_trips(stage, count):
    """The seconds of each turn, without the step's time as the actor measured it."""
    idle = Workload("benchmarks.idle:Idle", {})
    trips = []
    with stage.actor(stage.pool.next(), idle, "time") as (actor, _ready):
        for _ in range(count):
            begin = time.perf_counter()
            answer = actor.ask({"steps": 1}, 10.0)
            trips.append(time.perf_counter() - begin - answer["metrics"]["step_time_s"])
    return trips


def show(name, values):
    """Print one row."""
    p95 = statistics.quantiles(values, n=20)[-1]
    print(f"{name:38} {len(values):6} {statistics.median(values):9.1f} {p95:9.1f} {max(values):9.1f}")


if __name__ == "__main__":
    main()
