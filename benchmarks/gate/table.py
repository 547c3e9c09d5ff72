"""Makes the table of ``benchmarks.gate.simulate`` from recorded launches.

    python -m benchmarks.gate.table RUNFILE... [--trials 400] [--seed 1] [--noise baselines/MACHINE/noise.json]
                                    [--rules Perfgate ...]

Run files (``perfgate.run/1``) hold, for any number of cases:

- duets: two ``launch`` lines of one ``pair``, sides ``reference`` and ``candidate``;
- solo launches: ``pair`` is null, both sides, started in turn, so that ``launch`` n of either side was in succession.

If a slowdown was added to a candidate, its ``details`` say so: ``{"injected": 0.05}`` is 5%. Suites of 100 cases are
drawn from the recorded launches: each case takes whole launches in random order, none of them twice. All suites share
the same recorded launches, so more suites make the table smoother, but not more certain.
"""

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.gate import rules, suites
from perfgate.gate import duets, noise
from perfgate.records import runfile
from perfgate.shared.errors import UserError

METRIC = "step_time_s"


@dataclass
class Recording:
    """The recorded launches of one case with one added slowdown, in the order of recording."""

    duets: list = field(default_factory=list)
    reference: list = field(default_factory=list)
    candidate: list = field(default_factory=list)


class Recorded:
    """One case of a drawn suite."""

    def __init__(self, recording, generator):
        self.recording = recording
        self.orders = {
            "duets": iter(generator.permutation(len(recording.duets))),
            "reference": iter(generator.permutation(len(recording.reference))),
            "candidate": iter(generator.permutation(len(recording.candidate))),
        }

    def take(self, kind):
        """The position of the next launch in this case's random order."""
        number = next(self.orders[kind], None)
        if number is None:
            recorded = len(getattr(self.recording, kind))
            raise UserError(f"a rule wants more {kind} launches of one case than the {recorded} that were recorded")
        return number

    def stored(self, steps, session=0):
        """A solo launch of the reference; all were recorded in one session."""
        return self.recording.reference[self.take("reference")][:steps]

    def now(self, steps):
        """A solo launch of the candidate."""
        return self.recording.candidate[self.take("candidate")][:steps]

    def succession(self, steps):
        """Two solo launches, one started right after the other."""
        number = self.take("candidate")
        return self.recording.reference[number % len(self.recording.reference)][:steps], (
            self.recording.candidate[number][:steps]
        )

    def duet(self):
        """A duet."""
        return self.recording.duets[self.take("duets")]


def read(paths):
    """The recorded cases by added slowdown."""
    cases = defaultdict(lambda: defaultdict(Recording))
    for path in paths:
        run = runfile.read(path)
        references = run.by_case("reference")
        for case, launches in run.by_case().items():
            beside = [x for x in references.get(case, []) if not x.invalid and METRIC in x.metrics]
            solo = [np.array(x.metrics[METRIC]) for x in beside if x.pair is None]
            groups = defaultdict(list)
            for launch in launches:
                if not launch.invalid and METRIC in launch.metrics:
                    groups[launch.details.turns.injected].append(launch)
            for slowdown, group in groups.items():
                found = cases[slowdown][case]
                found.duets += duets.of_launches(beside, group, METRIC)
                found.candidate += [np.array(x.metrics[METRIC]) for x in group if x.pair is None]
                found.reference += solo
    return {slowdown: list(by_case.values()) for slowdown, by_case in cases.items()}


def suite(recordings, generator, slowed):
    """The cases of one run, each drawn from one of the recorded cases."""
    for number in range(suites.CASES):
        group = recordings[slowed.get(number, 0.0)]
        yield Recorded(group[generator.integers(len(group))], generator)


def able(rule, recordings):
    """Whether the launches that a rule needs were recorded."""
    want = "duets" if rule.budgeted else "candidate"
    return all(getattr(one, want) for group in recordings.values() for one in group)


def main():
    """Draw suites and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("runfiles", nargs="+", type=Path)
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rules", nargs="*", default=[""], help="only rules whose names begin so")
    parser.add_argument("--noise", type=Path, help="the machine's noise.json")
    options = parser.parse_args()
    chosen = [*rules.TOOLS, rules.perfgate()]
    try:
        recordings = read(options.runfiles)
        if options.noise:
            found = json.loads(options.noise.read_text(encoding="utf-8"))
            chosen.append(rules.perfgate(noise.Noise.from_json(found, str(options.noise))))
        chosen += rules.STORED
        if 0.0 not in recordings:
            raise UserError("nothing was recorded in which nothing changed; record a candidate without 'injected'")
        slowdowns = sorted(slowdown for slowdown in recordings if slowdown > 0)
        print(suites.heading(slowdowns))
        for number, rule in enumerate(chosen):
            if not able(rule, recordings) or not rule.name.startswith(tuple(options.rules)):
                continue
            generator = np.random.default_rng([options.seed, number])
            counts = suites.run(rule, partial(suite, recordings, generator), options.trials, slowdowns)
            print(suites.row("recorded", rule, counts), flush=True)
    except UserError as error:
        sys.exit(f"error: {error}")
    for slowdown, group in sorted(recordings.items()):
        told = (len(group), sum(len(one.duets) for one in group), sum(len(one.candidate) for one in group))
        print(f"\n{slowdown:.0%} slower: {told[0]} cases, {told[1]} duets, {told[2]} solo launches a side.", end="")
    print(f" {options.trials} suites a row were drawn from them.")


if __name__ == "__main__":
    main()
