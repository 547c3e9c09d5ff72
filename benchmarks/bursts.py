"""Measures the overhead of pacing: paced bursts against a bare loop over the same steps, in turn in one process.

    python -m benchmarks.bursts [--rounds 100] [--model gpt2-quick]

The device is the CPU, which takes bursts of at least 4 steps and 100 ms, as a GPU does. The order in a round is paced,
bare, bare, paced, or the other way round, so that drift of the machine cancels. For each round the script prints ratios
to the bare loops. One is the ratio of the gated time, which the instruments read. The others are ratios of the whole
burst, with the turn, its answer and the check of the loss, in wall time and in processor time. All should be within 1%.
The ratio of the two bare loops shows how much the machine varies by itself. A busy machine hides so small an overhead,
so bursts of steps that do nothing show it in seconds.
"""

import argparse
import os
import statistics
import time

from fixtures.models import models
from perfgate.actor import instruments
from perfgate.actor.devices import open_device
from perfgate.actor.pace import Pace
from perfgate.actor.programs.accelerated import AcceleratedLoop
from perfgate.actor.programs.base import Program
from perfgate.measure.steps import burst_steps
from perfgate.shared.wire import Channel
from perfgate.workloads import tasks

WARMUP_STEPS = 5
EMPTY_BURSTS = 200
FEW_AND_MANY = 4, 200


class Empty(Program):
    """A program whose step does nothing."""

    def step(self):
        """Do nothing."""


class Plain(Program):
    """A program whose step runs plain Python, which varies less than a model."""

    def step(self):
        """Add up numbers."""
        total = 0
        for number in range(300_000):
            total += number


class Paced:
    """A program with its own pace. Both ends of the channel are in this process."""

    def __init__(self, program, device):
        self.program = program
        self.active = instruments.for_pass("time", device)
        for instrument in self.active:
            instrument.start()
            instrument.built(program)
        ends = [os.pipe(), os.pipe()]
        self.stage = Channel(ends[1][0], ends[0][1])
        self.pace = Pace(Channel(ends[0][0], ends[1][1]), self.active, device)

    def burst(self, steps):
        """Take a burst; return seconds per step as the instruments read them, of the whole burst in wall time, and of
        the whole burst in processor time."""
        begin, cpu = time.perf_counter(), time.process_time()
        self.stage.send({"steps": steps})
        for _ in range(steps):
            self.pace.begin()
            self.pace.end(self.program.step())
        answer = self.stage.receive()
        whole_s, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
        return answer["metrics"]["step_time_s"], whole_s / steps, cpu_s / steps

    def bare(self, steps):
        """Take steps in a bare loop; return seconds per step in wall time and in processor time."""
        begin, cpu = time.perf_counter(), time.process_time()
        for _ in range(steps):
            self.program.step()
        return (time.perf_counter() - begin) / steps, (time.process_time() - cpu) / steps


def main():
    """Measure and print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--model", default="gpt2-quick")
    options = parser.parse_args()
    device = open_device({"kind": "cpu"}, "time", [max(os.sched_getaffinity(0))], 1)
    workload = tasks.training(models()[options.model], loop="accelerate")
    print(f"overhead in percent of the bare loop, {options.rounds} rounds")
    print(f"{'':46} {'median':>8} {'p25':>8} {'p75':>8} {'standard error':>15}")
    compare("plain Python", Paced(Plain(), device), options.rounds)
    compare(
        f"training {options.model}", Paced(AcceleratedLoop(device=device, **workload.params), device), options.rounds
    )
    few, many = (costs(device, steps) for steps in FEW_AND_MANY)
    step_s = (many - few) / (FEW_AND_MANY[1] - FEW_AND_MANY[0])
    burst_s = few - FEW_AND_MANY[0] * step_s
    print(f"a burst costs {1e6 * burst_s:.0f} µs, and {1e6 * step_s:.2f} µs more for each of its steps")


def compare(name, paced, rounds):
    """Print the rows of one program."""
    steps = burst_steps(min(paced.bare(1)[0] for _ in range(WARMUP_STEPS)))
    found = {"gated time": [], "all of a burst": [], "all, on the processor": [], "bare against bare": []}
    for number in range(rounds):
        order = (paced.burst, paced.bare, paced.bare, paced.burst)
        order = order if number % 2 else (paced.bare, paced.burst, paced.burst, paced.bare)
        rows = [(run, run(steps)) for run in order]
        bursts = [row for run, row in rows if run == paced.burst]
        loops = [row for run, row in rows if run == paced.bare]
        loop_s, loop_cpu_s = (sum(column) for column in zip(*loops, strict=True))
        gated_s, whole_s, cpu_s = (sum(column) for column in zip(*bursts, strict=True))
        shares = gated_s / loop_s, whole_s / loop_s, cpu_s / loop_cpu_s, loops[0][0] / loops[1][0]
        for values, share in zip(found.values(), shares, strict=True):
            values.append(share - 1)
    for what, values in found.items():
        show(f"{name}, {steps} steps: {what}", values)


def show(name, shares):
    """Print one row. The standard error is that of the median, estimated from the distance of the quartiles."""
    low, middle, high = statistics.quantiles(shares, n=4)
    error = 1.25 * (high - low) / 1.35 / len(shares) ** 0.5
    print(f"{name:46} {middle:8.2%} {low:8.2%} {high:8.2%} {error:15.2%}")


def costs(device, steps):
    """The seconds of the fastest burst of steps that do nothing."""
    empty = Paced(Empty(), device)
    return min(empty.burst(steps)[1] * steps for _ in range(EMPTY_BURSTS))


if __name__ == "__main__":
    main()
