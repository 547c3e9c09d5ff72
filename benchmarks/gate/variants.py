"""Compares the confirmation rule with variants of it on the same simulated duets.

    python -m benchmarks.gate.variants [--cases 100000] [--seed 1]

Each variant differs from the rule in one thing, unless its name says more. There are screened cases with normal duets
(1.0%), with launches of two speeds (12.5% or 60% apart, 3 of 10 slow), on which a rule that assumes normal noise
fails, and with servers that differ. ``alarms`` is the expected number of false alarms in a suite of 100 unchanged
cases, and must be at most 0.01. The code is vectorised and therefore separate from ``perfgate.gate``; its results must
agree with ``simulate``.
"""

import argparse
import math
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import fdtrc, stdtrit

from perfgate.gate.alpha_budget import FAILING_LOOKS, AlphaBudget
from perfgate.gate.confirmation import CLEARING_LOOKS, HUGE, LOOKS
from perfgate.gate.duets import SERVERS_DIFFER
from perfgate.gate.noise import OUT_OF_KEEPING

ALPHA_A_SUSPECT = AlphaBudget(100).share * FAILING_LOOKS
LIMIT, TOLERANCE, SUSPICIOUS = math.log1p(0.01), math.log1p(0.03), math.log1p(0.007)


@dataclass(frozen=True)
class Variant:
    """The ways in which a variant differs from the rule."""

    name: str
    df: float = 10.0
    servers: int = 3
    clearing_looks: int = CLEARING_LOOKS
    huge: float = math.log1p(HUGE)
    lets_go: bool = True
    strict: bool = False
    looks: tuple[int, ...] = LOOKS


THE_RULE = Variant("the rule, noise.json")
VARIANTS = [
    THE_RULE,
    replace(THE_RULE, name="the first look may fail a case", clearing_looks=0),
    replace(THE_RULE, name="the first look fails no case, however slow", huge=math.inf),
    replace(THE_RULE, name="noise.json is lent to every case", lets_go=False),
    replace(THE_RULE, name="spread always between 3 pairs of servers", strict=True),
    replace(THE_RULE, name="spread always between 2 pairs of servers", strict=True, servers=2),
    replace(THE_RULE, name="no look at 24", looks=LOOKS[:-1]),
    Variant("all of these, 3 pairs", clearing_looks=0, lets_go=False, strict=True, looks=LOOKS[:-1]),
    Variant("all of these but servers", clearing_looks=0, lets_go=False, servers=24, looks=LOOKS[:-1]),
    Variant("the rule, no noise.json", df=0.0),
    Variant("no noise.json, first look fails no case", df=0.0, huge=math.inf),
    Variant("no noise.json, no look at 24", df=0.0, looks=LOOKS[:-1]),
    Variant("no noise.json, first look may fail", df=0.0, clearing_looks=0),
    Variant("no noise.json, always between 3 pairs", df=0.0, strict=True),
]


@dataclass(frozen=True)
class Kind:
    """The noise of duets."""

    name: str
    spread: float = 0.01
    slow_share: float = 0.0
    servers: float = 0.0
    gap: float = 0.125

    def draw(self, generator, cases, count, servers):
        """Draw the differences of unchanged cases, one row for each case."""
        found = generator.normal(0, self.spread, (cases, count))
        if self.slow_share:
            slow = [generator.random((cases, count)) < self.slow_share for _ in range(2)]
            found += self.gap * (slow[0].astype(float) - slow[1])
        if self.servers:
            found += generator.normal(0, self.servers, (cases, servers))[:, np.arange(count) % servers]
        return found


KINDS = [
    Kind("normal"),
    Kind("spread of 1.6%", spread=0.016),
    Kind("two speeds", slow_share=0.3),
    Kind("two speeds, 60% apart", slow_share=0.3, gap=math.log(1.6)),
    Kind("servers differ by 0.7%", servers=0.007),
]


def spread(duets, variant):
    """The variance of a duet and its degrees of freedom, for each case."""
    cases, count = duets.shape
    total, df = duets.var(axis=1, ddof=1), np.full(cases, count - 1.0)
    if count <= variant.servers:
        return total, df
    groups = [duets[:, server :: variant.servers] for server in range(variant.servers)]
    between = sum(g.shape[1] * (g.mean(axis=1) - duets.mean(axis=1)) ** 2 for g in groups) / (variant.servers - 1)
    within = sum(((g - g.mean(axis=1, keepdims=True)) ** 2).sum(axis=1) for g in groups) / (count - variant.servers)
    tail = fdtrc(variant.servers - 1, count - variant.servers, between / within)
    differ = np.full(cases, True) if variant.strict else tail < SERVERS_DIFFER
    return np.where(differ, between, total), np.where(differ, variant.servers - 1.0, df)


def judge(duets, variant):
    """The result of each case (1 for regressed, 2 for cleared), and the number of duets that it takes."""
    state, used = np.zeros(len(duets), int), np.full(len(duets), variant.looks[-1])
    share = ALPHA_A_SUSPECT / (len(variant.looks) - variant.clearing_looks * math.isinf(variant.huge))
    for number, count in enumerate(variant.looks):
        variance, df = spread(duets[:, :count], variant)
        if variant.df:
            moderated = (variant.df * 0.01**2 + df * variance) / (variant.df + df)
            fits = fdtrc(df, variant.df, variance / 0.01**2) >= OUT_OF_KEEPING
            fits |= not variant.lets_go
            variance = np.where(fits, moderated, variance)
            df = np.where(fits, df + variant.df, df)
        error, mean = np.sqrt(variance / count), duets[:, :count].mean(axis=1)
        limit = LIMIT if number >= variant.clearing_looks else variant.huge
        worse = (state == 0) & (mean - stdtrit(df, 1 - share) * error > limit)
        clear = (state == 0) & ~worse & (mean + stdtrit(df, 0.995) * error < TOLERANCE)
        state[worse], state[clear] = 1, 2
        used[worse | clear] = count
    return state, used


def main():
    """Simulate and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print("| duets | variant | alarms in 100 cases | catches 3% | catches 5% | duets a case | duets for 10-fold |")
    print("|---|---|---|---|---|---|---|")
    for kind in KINDS:
        for variant in VARIANTS:
            cells, cost = [kind.name, variant.name], 0.0
            for slowdown in (0, 0.03, 0.05, 9):
                generator = np.random.default_rng([options.seed, KINDS.index(kind)])
                cases = options.cases // (5 if slowdown else 1)
                suspect = kind.draw(generator, cases, 1, 1)[:, 0] + math.log1p(slowdown) > SUSPICIOUS
                duets = kind.draw(generator, cases, variant.looks[-1], variant.servers) + math.log1p(slowdown)
                state, used = judge(duets, variant)
                caught = float((suspect & (state == 1)).mean())
                taken = float(1 + (suspect * used).mean())
                cost = cost or taken
                if slowdown < 1:
                    cells.append(f"{caught:.1%}" if slowdown else f"{100 * caught:.3f}")
            print(f"| {' | '.join(cells)} | {cost:.2f} | {taken:.2f} |", flush=True)


if __name__ == "__main__":
    main()
