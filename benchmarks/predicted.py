"""Compares predicted with measured peak memory in every case of the quick tier.

    python -m benchmarks.predicted [-k EXPRESSION]

For training and forward passes the dry run's prediction should be within 0.5% of the peak in the profiler's
``[memory]`` events. Nothing is timed.
"""

import argparse
import sys
import tempfile

import pytest

from perfgate.cases import runner
from perfgate.measure.passes.dry import dry_launch
from perfgate.measure.passes.memory import memory_launch

ROWS = []


def measure(stage, case, workload, progress):
    """Take the dry run and one memory launch, in place of all passes."""
    del progress
    with dry_launch(stage, case, workload, stage.pool.next(), "candidate") as answer:
        dry, _ = answer()
    if stage.plan.device == "none":  # too large for this machine
        return [dry]
    launch = memory_launch(stage, case, workload, stage.pool.next(), 0)
    ROWS.append((case, workload.program, dry, launch))
    return [dry, launch]


def main():
    """Run the tier and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", default="", metavar="EXPRESSION", help="of pytest")
    options = parser.parse_args()
    runner.measure = measure
    with tempfile.TemporaryDirectory() as folder:
        arguments = ["perf_tests", "-q", "--perf-tier=quick", f"--perf-output={folder}", f"--perf-baselines={folder}"]
        code = pytest.main([*arguments, "-k", options.k, "-m", "not effect", "-p", "no:cacheprovider", "-W", "ignore"])
    print(f"\n{'case':90} {'predicted':>12} {'measured':>12} {'difference':>10}")
    worst = {"generation": 0.0, "training and forward": 0.0}
    for case, program, dry, launch in ROWS:
        if dry.invalid or launch.invalid:
            print(f"{case:90} {dry.invalid or launch.invalid}")
            continue
        predicted, measured = dry.value("predicted_peak_bytes"), launch.value("peak_memory_bytes")
        difference = predicted / measured - 1
        kind = "generation" if program.endswith("Generation") else "training and forward"
        worst[kind] = max(worst[kind], abs(difference))
        print(f"{case:90} {predicted:12,.0f} {measured:12,.0f} {difference:10.3%}")
    for kind, value in worst.items():
        print(f"largest difference, {kind}: {value:.3%}")
    sys.exit(code)


if __name__ == "__main__":
    main()
