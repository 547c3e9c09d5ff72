"""Measures how other processes affect the gate on each clock: launches and duets beside loads of 0, 1, 2 and 4.

    python -m benchmarks.gate.load [--minutes 15] [--loads 0 1 2 4] [--nices 0 5] [--draws 400]

A load is that many processes on the actors' core that do nothing but compute. For each load and priority, duets of
equal sides and solo launches beside the yardstick take turns until the time is up. The rule judges every duet on both
clocks, whichever clock the gate would choose, both as it was recorded and with 3% and 5% added to its difference. The
rule may need more duets than were recorded, so each judgement draws duets with replacement and with a random sign. The
shares are therefore only as exact as the number of duets allows. Solo launches show how much launches vary.
"""

import argparse
import itertools
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from fixtures.models import models
from perfgate.gate.alpha_budget import AlphaBudget
from perfgate.gate.clocks import choose
from perfgate.gate.confirmation import LOOKS
from perfgate.gate.duets import of_pair, spread
from perfgate.gate.noise import UNKNOWN
from perfgate.gate.power import drawn
from perfgate.measure.duet import DuetSide, duet, valid_pair
from perfgate.measure.passes.timed import timed_launch
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.workloads.programs import modules_of
from perfgate.workloads.tasks import training

FILLED_S = 1.0  # seconds of a duet
SLOWDOWNS = (0.0, 0.03, 0.05)
CLOCKS = ("wall", "processor")
NAME, TOLERANCE, SUITE = "step_time_s", 0.03, 100
BUSY = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
while os.getppid() == int(sys.argv[2]):
    sum(range(10_000))
"""


class Load:
    """Processes on the actors' core that compute when they are asked to, at the priority that this process had.

    Each has a session of its own, as Linux shares a core among sessions first.
    """

    def __init__(self, stack, count, core):
        command = [sys.executable, "-c", BUSY, str(core), str(os.getpid())]
        self._processes = []
        for _ in range(count):
            process = stack.enter_context(subprocess.Popen(command, start_new_session=True))
            stack.callback(process.kill)
            process.send_signal(signal.SIGSTOP)
            self._processes.append(process)

    @contextmanager
    def of(self, count):
        """Within the block, let this many of the processes compute."""
        for process in self._processes[:count]:
            process.send_signal(signal.SIGCONT)
        try:
            yield
        finally:
            for process in self._processes[:count]:
                process.send_signal(signal.SIGSTOP)


def record(options, load, end):
    """Record duets and solo launches by load until the time is up, and count rejected launches."""
    workload = training(models()["gpt2-quick"], batch_size=1)
    duets, solo, rejected = defaultdict(list), defaultdict(list), defaultdict(int)
    with tempfile.TemporaryDirectory() as folder:
        stage = Stage(modules_of(("training.trainer", "yardstick.cpu")), Path(folder), MeasurementPlan())
        stage.start()
        sides = [DuetSide(side, stage.pool, workload, filled_s=FILLED_S) for side in ("reference", "candidate")]
        try:
            for number, count in ((number, count) for number in itertools.count() for count in options.loads):
                if time.monotonic() > end:
                    return duets, solo, rejected
                with load.of(count):
                    found = duet(stage, "case", number, sides)
                    launch = stage.judged(timed_launch(stage, "case", workload, stage.pool.next(), number))
                if pair := valid_pair(found):
                    duets[count].append(pair)
                if not launch.invalid:
                    solo[count].append(launch)
                rejected[count] += sum(launch.invalid is not None for launch in [*found, launch])
        finally:
            stage.close()


def rows(count, nice, duets, solo, rejected, draws):
    """The lines of the table, one for each clock; none if too little was recorded."""
    if min(len(duets), len(solo)) < 2:
        return
    both = [launch for pair in duets for launch in pair]
    chosen = choose(both).clock
    waited = f"{statistics.median(launch.waited or 0.0 for launch in both):.0%}"
    idle = f"{statistics.median(launch.idle for launch in both):.2%}"
    for clock in CLOCKS:
        found = [of_pair(before.on(clock), now.on(clock), NAME) for before, now in duets]
        told = [told_of(found, slowdown, draws) for slowdown in SLOWDOWNS]
        launches = [launch.on(clock) for launch in solo]
        spreads = [
            statistics.stdev(map(math.log, values))
            for values in ([x.value(NAME) for x in launches], [x.in_yardsticks(NAME) for x in launches])
        ]
        mark = f"{clock} (chosen)" if clock == chosen else clock
        cells = [count, nice, mark, waited, idle, f"{math.sqrt(spread(found).variance):.1%} ({len(found)})", *told]
        cells += [f"{spreads[0]:.1%}", f"{spreads[1]:.1%} ({len(launches)})", rejected]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def told_of(duets, slowdown, draws):
    """The share of draws in which the rule fails the case and, in parentheses, the share left undecided."""
    # Both sides are equal, so the opposite difference is equally likely.
    both_ways = [replace(duet, difference=sign * duet.difference) for duet in duets for sign in (1, -1)]
    slowed = [replace(duet, difference=duet.difference + math.log1p(slowdown)) for duet in both_ways]
    source, share = random.Random(0), AlphaBudget(SUITE).share
    ends = [drawn(source.choices(slowed, k=1 + LOOKS[-1]), TOLERANCE, share, UNKNOWN).verdict for _ in range(draws)]
    return f"{ends.count('regressed') / draws:.1%} ({ends.count('inconclusive') / draws:.0%})"


def main():
    """Record for the given time, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--loads", type=int, nargs="+", default=[0, 1, 2, 4])
    parser.add_argument("--nices", type=int, nargs="+", default=[0, 5])
    parser.add_argument("--draws", type=int, default=400)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all that it started ends with it
    heads = ["busy", "nice", "clock", "waited", "idle", "spread of a duet (n)", "false alarms (undecided)"]
    heads += [f"{slowdown:.0%} caught (undecided)" for slowdown in SLOWDOWNS[1:]]
    heads += ["launches vary, s", "launches vary, yardsticks (n)", "rejected"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    with ExitStack() as stack:
        load = Load(stack, max(options.loads), max(os.sched_getaffinity(0)))
        for before, nice in itertools.pairwise([0, *sorted(options.nices)]):
            os.nice(nice - before)
            end = time.monotonic() + 60 * options.minutes / len(options.nices)
            duets, solo, rejected = record(options, load, end)
            for count in options.loads:
                rows(count, nice, duets[count], solo[count], rejected[count], options.draws)
    averages = ", ".join(f"{load:.1f}" for load in os.getloadavg())
    print(f"\nLoad averages of the machine at the end, over 1, 5 and 15 minutes: {averages}.")


if __name__ == "__main__":
    main()
