"""Measures how much stored values vary from launch to launch, in seconds and as ratios to the yardstick.

    python -m benchmarks.yardstick [--launches 20] [--seconds 1.5]

Launches of a few cases are interleaved over the whole time, as they are over the sessions of a baseline. The last
column should be at most 0.4. ``steps`` is the spread of the steps within a launch; ``sampling`` is the part of the
spread in yardsticks that is due to the small number of steps, found by comparing the two halves of each launch.
"""

import argparse
import json
import math
import statistics
import tempfile
from pathlib import Path

from fixtures.models import models, sentences
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.schedule import measure
from perfgate.measure.stage import Stage
from perfgate.records.launch import Launch
from perfgate.workloads import tasks

PROGRAMS = [f"perfgate.actor.programs.{name}" for name in ("trainer", "accelerated", "generation", "forward")]


def workloads():
    """One workload of each kind of program."""
    found = models()
    return {
        "train gpt2-quick": tasks.training(found["gpt2-quick"]),
        "train bert-quick batch 1": tasks.training(found["bert-quick"], batch_size=1),
        "generate gpt2-quick": tasks.generation(found["gpt2-quick"]),
        "forward bert-quick": tasks.forward(found["bert-quick"]),
        "embed all-MiniLM-L6-v2": tasks.forward(found["all-MiniLM-L6-v2"], sentences=sentences()),
    }


def spread(values):
    """The standard deviation of the values' logarithms; 0.03 is 3%."""
    return statistics.stdev(map(math.log, values))


def sampling(launches):
    """The standard deviation of a launch's mean, estimated from the difference between its two halves."""
    differences = []
    for launch in launches:
        pairs = zip(launch.metrics["step_time_s"], launch.yardstick_s, strict=True)
        ratios = [math.log(a) - math.log(b) for a, b in pairs]
        half = len(ratios) // 2
        differences.append(statistics.fmean(ratios[:half]) - statistics.fmean(ratios[half : 2 * half]))
    return statistics.stdev(differences) / 2


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--launches", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=MeasurementPlan.steps_s, help="of timed steps in each launch")
    parser.add_argument("--keep", type=Path, help="write the launches there, as JSON lines")
    options = parser.parse_args()
    launches: dict[str, list[Launch]] = {}
    plan = MeasurementPlan(launches=1, memory_launches=0, steps_s=options.seconds, max_steps=int(40 * options.seconds))
    stage = Stage(PROGRAMS, Path(tempfile.mkdtemp()), plan)
    try:
        for _ in range(options.launches):
            for name, workload in workloads().items():
                launches.setdefault(name, []).extend(measure(stage, name, workload, lambda text: None))
    finally:
        stage.close()
    if options.keep:
        options.keep.write_text("".join(json.dumps(x.to_json()) + "\n" for group in launches.values() for x in group))
    report(launches)


def report(launches):
    """Print a row for each case."""
    columns = ("case", "launches", "step", "steps", "seconds", "yardsticks", "sampling", "share")
    print("{:28} {:>8} {:>9} {:>7} {:>8} {:>10} {:>8} {:>6}".format(*columns))
    shares = []
    for name, group in launches.items():
        valid = [launch for launch in group if not launch.invalid]
        seconds = [launch.value("step_time_s") for launch in valid]
        inside = statistics.median(spread(launch.metrics["step_time_s"]) for launch in valid)
        a, b = spread(seconds), spread([launch.in_yardsticks("step_time_s") for launch in valid])
        shares.append(b / a)
        print(f"{name:28} {len(valid):>8} {statistics.median(seconds) * 1e3:>6.1f} ms {inside:>7.1%}", end=" ")
        print(f"{a:>8.1%} {b:>10.1%} {sampling(valid):>8.1%} {b / a:>6.2f}")
    print(f"median share: {statistics.median(shares):.2f}")


if __name__ == "__main__":
    main()
