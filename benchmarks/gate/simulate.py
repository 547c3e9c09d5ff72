"""Simulates machines with known noise, and counts each rule's false alarms, caught slowdowns and launches.

    python -m benchmarks.gate.simulate [--trials 400] [--seed 1] [--machines noisy shared ...] [--rules Perfgate ...]

A suite has 100 cases with steps of 25 ms. All cases of a session share the session's speed, each launch has a speed of
its own, and the steps of a launch vary by 3%. Duets vary by 1.0% unless a machine says otherwise, as was measured with
60 steps on one core. ``noise.json`` says d0 = 10 and s0 = 1.0% on every machine, even on those where that is wrong.
"""

import argparse
import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.gate import rules, suites
from perfgate.gate.duets import Duet
from perfgate.gate.noise import Noise

STEP_SD = 0.03
HEAVY_FREEDOM, HEAVY_SCALE = 3, 0.882  # Student's t with the quartiles of a normal distribution


@dataclass(frozen=True)
class Machine:
    """A machine's noise, as standard deviations of logarithms; 0.01 is 1%.

    Attributes:
        launch: spread from launch to launch within a session.
        session: spread from session to session, which all cases share.
        duet: spread of a duet's difference.
        slow_share: probability that a launch is of the slow kind.
        slow_gap: the slowdown of launches of the slow kind.
        drift: the change of the machine's speed during a run.
        heavy: whether launches and duets have heavy tails (Student's t with 3 degrees of freedom, same quartiles).
        servers: spread between the three pairs of servers.
    """

    name: str
    launch: float
    session: float
    duet: float = 0.01
    slow_share: float = 0.0
    slow_gap: float = 0.0
    drift: float = 0.0
    heavy: bool = False
    servers: float = 0.0


MACHINES = [
    Machine("quiet", 0.003, 0.004),
    Machine("typical", 0.006, 0.015),
    Machine("noisy", 0.012, 0.03),
    Machine("shared", 0.10, 0.03),
    Machine("two speeds", 0.006, 0.015, slow_share=0.3, slow_gap=0.125),
    Machine("drifting", 0.006, 0.015, drift=0.05),
    Machine("heavy tails", 0.006, 0.015, heavy=True),
    Machine("servers differ", 0.006, 0.015, servers=0.007),
    Machine("wide duets", 0.10, 0.03, duet=0.016),
]
RULES = [
    *rules.TOOLS,
    rules.perfgate(),
    rules.perfgate(Noise("simulated", 10, 0.01, 30)),
    rules.stored(confirms=False),
    rules.stored(confirms=True),
]


class Simulated:
    """One case of one run."""

    def __init__(self, machine, generator, sessions, earlier, slowdown):
        self.machine, self.generator = machine, generator
        self.earlier = [sessions[0], *earlier]
        self.sessions, self.effect = sessions, math.log1p(slowdown)
        self.server_effects = generator.normal(0, machine.servers, 3) if machine.servers else np.zeros(3)
        self.duets = 0

    def noise(self, spread):
        """Draw a random deviation."""
        if self.machine.heavy:
            return spread * HEAVY_SCALE * self.generator.standard_t(HEAVY_FREEDOM)
        return spread * self.generator.standard_normal()

    def kind(self):
        """Draw whether a launch is of the slow kind; return its slowdown."""
        share = self.machine.slow_share
        return self.machine.slow_gap if share and self.generator.random() < share else 0.0

    def launch(self, level, steps):
        """Draw the step times of one launch."""
        level += self.noise(self.machine.launch) + self.kind()
        return 0.025 * np.exp(level + STEP_SD * self.generator.standard_normal(steps))

    def stored(self, steps, session=0):
        """Step times of a launch in one of the earlier sessions."""
        return self.launch(self.earlier[session], steps)

    def now(self, steps):
        """Step times of a launch of the candidate in this session."""
        return self.launch(self.sessions[1] + self.effect, steps)

    def succession(self, steps):
        """Step times of a launch of each side in this session."""
        return self.launch(self.sessions[1], steps), self.now(steps)

    def duet(self):
        """Draw a duet. Session, drift and launch cancel in it; the kinds of its two launches do not."""
        number = self.duets % 3
        self.duets += 1
        value = self.effect + self.noise(self.machine.duet) + self.kind() - self.kind() + self.server_effects[number]
        return Duet(float(value), str(number), 60)


def suite(machine, generator, slowed):
    """The cases of one run and of the stored session before it; each session has its own speed and drift."""
    speeds = generator.normal(0, machine.session, 2)
    (apart,) = generator.spawn(1)  # so that rules that look at only one earlier session see the same draws as before
    earlier = apart.normal(0, machine.session, rules.SESSIONS - 1)
    drifts = machine.drift * generator.uniform(-1, 1, 2)
    for number in range(suites.CASES):
        now = speeds + drifts * number / suites.CASES
        yield Simulated(machine, generator, now, earlier, slowed.get(number, 0.0))


def main():
    """Simulate and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--machines", nargs="*", default=[machine.name for machine in MACHINES])
    parser.add_argument("--rules", nargs="*", default=[""], help="only rules whose names begin so")
    options = parser.parse_args()
    slowdowns = (0.03, 0.05)
    print(suites.heading(slowdowns))
    for machine in MACHINES:
        if machine.name not in options.machines:
            continue
        for rule in RULES:
            if not rule.name.startswith(tuple(options.rules)):
                continue
            generator = np.random.default_rng([options.seed, MACHINES.index(machine), RULES.index(rule)])
            counts = suites.run(rule, partial(suite, machine, generator), options.trials, slowdowns)
            print(suites.row(machine.name, rule, counts), flush=True)
    print(f"\n{options.trials} unchanged suites a row, {5 * max(1, options.trials // 4)} slowed cases a slowdown.")
    print("\n".join(rules.agreement()))


if __name__ == "__main__":
    main()
