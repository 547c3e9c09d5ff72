"""Compares four ways in which actors can treat memory pages that they free, by duets of a step against itself.

    python -m benchmarks.gate.pages [--rounds 20]

For each way the script prints the spread of the duets' ratio, the correlation of the ratio between the two halves of a
duet (near 0 if the launches of a duet differ only by chance), the spread of paired steps, and the median step.
"""

import argparse
import statistics
import tempfile
from math import log
from pathlib import Path
from unittest.mock import patch

import pandas

from fixtures.models import models
from perfgate.measure import server
from perfgate.measure.duet import DuetSide, duet, valid_pair
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.workloads.tasks import training

HUGE = {"GLIBC_TUNABLES": server.HUGE_PAGES}
WAYS = {
    "handed back, small": {},
    "handed back, huge": HUGE,
    "kept, small": server.PAGES,
    "kept, huge": server.PAGES | HUGE,
}


def main():
    """Measure, and print one row for each way."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=20)
    rounds = parser.parse_args().rounds
    workload = training(models()["gpt2-quick"], batch_size=4)
    found = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        stages = {way: opened(variables, Path(folder) / str(n)) for n, (way, variables) in enumerate(WAYS.items())}
        for number in range(rounds):
            for way, stage in stages.items():
                parts = [DuetSide(side, stage.pool, workload) for side in ("reference", "candidate")]
                if pair := valid_pair(duet(stage, "training of gpt2-quick", number, parts)):
                    found[way].append([launch.steps("step_time_s") for launch in pair])
        for stage in stages.values():
            stage.close()
    print(pandas.DataFrame({way: row(pairs) for way, pairs in found.items()}).T.to_string())


def opened(variables, folder):
    """A stage whose servers were started with these environment variables."""
    folder.mkdir()
    with patch.object(server, "keeping_pages", lambda: variables):
        stage = Stage(("perfgate.actor.programs.trainer",), folder, MeasurementPlan())
        for number in range(stage.pool.size):
            stage.pool.at(number)
    return stage


def row(pairs):
    """The figures of one way as text."""
    ratios = [[log(b / a) for a, b in zip(*pair, strict=True)] for pair in pairs]
    halves = [[statistics.median(r[: len(r) // 2]), statistics.median(r[len(r) // 2 :])] for r in ratios]
    return {
        "duets": len(pairs),
        "spread of duets": f"{statistics.stdev(map(statistics.median, ratios)):.2%}",
        "halves correlate": f"{statistics.correlation(*zip(*halves, strict=True)):.2f}",
        "spread of paired steps": f"{statistics.median(map(statistics.stdev, ratios)):.1%}",
        "step": f"{1e3 * statistics.median(statistics.median(pair[0]) for pair in pairs):.1f} ms",
    }


if __name__ == "__main__":
    main()
