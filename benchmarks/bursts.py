"""What pacing costs in a burst: paced bursts against a bare loop over the same steps, in turn in one process.

    python -m benchmarks.bursts [--pairs 40] [--model gpt2-quick]

The device is the CPU, driven in bursts of at least 4 steps and 100 ms as a GPU is. Of each pair ratios to the bare
loop are printed: of the time that is gated (the instruments' own reading), and of all that the burst took, the token,
its answer and the looking at the loss included, on the wall and on the processor. All are to lie within 1%. The pair's
order alternates; two bare loops in place of the pair show what the machine alone does. Since a busy machine hides so
little, the fastest of either are compared as well, and bursts over a step that does nothing tell the cost itself.
"""

import argparse
import os
import statistics
import time

from fixtures.models import models
from perfgate import tasks
from perfgate.actor import instruments
from perfgate.actor.devices import open_device
from perfgate.actor.pace import Pace
from perfgate.actor.programs.accelerated import AcceleratedLoop
from perfgate.actor.programs.base import Program
from perfgate.stage.bursts import burst_steps
from perfgate.wire import Channel

WARMUP_STEPS = 5
EMPTY_BURSTS = 200
FEW_AND_MANY = 50


class Empty(Program):
    """A step that does nothing."""

    def step(self):
        """Do nothing."""


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


def bare(program, steps):
    """Seconds a step of a loop that does nothing else, on the wall and on the processor."""
    begin, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        program.step()
    return (time.perf_counter() - begin) / steps, (time.process_time() - cpu) / steps


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--model", default="gpt2-quick")
    options = parser.parse_args()
    core = [max(os.sched_getaffinity(0))]
    device = open_device({"kind": "cpu"}, "time", core, 1)
    workload = tasks.training(models()[options.model], loop="accelerate")
    program = AcceleratedLoop(device=device, **workload.params)
    paced = Paced(program, device)
    steps = burst_steps(min(bare(program, 1)[0] for _ in range(WARMUP_STEPS)))
    gated, whole, processor, nothing, paced_s, bare_s = [], [], [], [], [], []
    for pair in range(options.pairs):
        order = [lambda: paced.burst(steps), lambda: bare(program, steps)]
        found = [run() for run in (order if pair % 2 else reversed(order))]
        (loop_s, loop_cpu_s), (gated_s, whole_s, cpu_s) = found[::-1] if pair % 2 else found
        gated.append(gated_s / loop_s - 1)
        whole.append(whole_s / loop_s - 1)
        paced_s.append(whole_s)
        bare_s.append(loop_s)
        processor.append(cpu_s / loop_cpu_s - 1)
        nothing.append(bare(program, steps)[0] / bare(program, steps)[0] - 1)
    print(f"{steps} steps a burst, {options.pairs} pairs; overhead in percent of the bare loop")
    print(f"{'':34} {'median':>8} {'p25':>8} {'p75':>8} {'standard error':>15}")
    show("gated time of a burst", gated)
    show("all of a burst", whole)
    show("all of a burst, on the processor", processor)
    show("a bare loop against itself", nothing)
    print(f"the fastest burst against the fastest bare loop: {min(paced_s) / min(bare_s) - 1:+.2%}")
    few, many = (min(costs(device, count)) for count in (steps, FEW_AND_MANY * steps))
    step_s = (many - few) / ((FEW_AND_MANY - 1) * steps)
    print(f"a burst costs {1e6 * (few - steps * step_s):.0f} µs, and {1e6 * step_s:.2f} µs more for each of its steps")


def costs(device, steps):
    """Seconds of whole bursts over steps that do nothing."""
    empty = Paced(Empty(), device)
    return [empty.burst(steps)[1] * steps for _ in range(EMPTY_BURSTS)]


def show(name, shares):
    """Print one row; the standard error is the median's, from the quartiles' distance."""
    low, middle, high = statistics.quantiles(shares, n=4)
    error = 1.25 * (high - low) / 1.35 / len(shares) ** 0.5
    print(f"{name:34} {middle:8.2%} {low:8.2%} {high:8.2%} {error:15.2%}")


if __name__ == "__main__":
    main()
