"""What pacing costs in a burst: paced bursts against a bare loop over the same steps, in turn in one process.

    python -m benchmarks.bursts [--rounds 100] [--model gpt2-quick]

The device is the CPU, driven in bursts of at least 4 steps and 100 ms as a GPU is. A round is paced, bare, bare, paced,
or the other way round, so that what drifts cancels. Of each round ratios to the bare loops are printed: of the time
that is gated (the instruments' own reading), and of all that the bursts took, the turn, its answer and the looking at
the loss included, on the wall and on the processor. All are to lie within 1%. The two bare loops against each other
show what the machine alone does; and since a busy machine hides so little, bursts over a step that does nothing tell
the cost itself.
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
    """A step that does nothing."""

    def step(self):
        """Do nothing."""


class Plain(Program):
    """A step of plain Python, which varies less than a model's."""

    def step(self):
        """Add up numbers."""
        total = 0
        for number in range(300_000):
            total += number


class Paced:
    """A program that is stepped through a pace of its own, both ends of the channel in this process."""

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
        """Seconds a step: as the instruments read it, in all, and in all on the processor."""
        begin, cpu = time.perf_counter(), time.process_time()
        self.stage.send({"steps": steps})
        for _ in range(steps):
            self.pace.begin()
            self.pace.end(self.program.step())
        answer = self.stage.receive()
        whole_s, cpu_s = time.perf_counter() - begin, time.process_time() - cpu
        return answer["metrics"]["step_time_s"], whole_s / steps, cpu_s / steps

    def bare(self, steps):
        """Seconds a step of a loop that does nothing else, on the wall and on the processor."""
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
    """Print one row; the standard error is the median's, from the quartiles' distance."""
    low, middle, high = statistics.quantiles(shares, n=4)
    error = 1.25 * (high - low) / 1.35 / len(shares) ** 0.5
    print(f"{name:46} {middle:8.2%} {low:8.2%} {high:8.2%} {error:15.2%}")


def costs(device, steps):
    """Seconds of the fastest whole burst over steps that do nothing."""
    empty = Paced(Empty(), device)
    return min(empty.burst(steps)[1] * steps for _ in range(EMPTY_BURSTS))


if __name__ == "__main__":
    main()
