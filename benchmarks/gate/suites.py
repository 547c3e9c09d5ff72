"""Lets rules judge suites of cases, and makes the table of results."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from scipy import stats

from benchmarks.gate.rules import Case, Rule

CASES = 100
SLOWED = 5
STEP_S = 0.025


@dataclass
class Counts:
    """The results of one rule on many suites.

    Attributes:
        trials: the number of suites in which nothing changed.
        alarms: the number of these with a case called regressed.
        launches: the number of actors started for all unchanged cases.
        steps: the number of steps that these took.
        decided: the number of unchanged cases that were called anything but inconclusive.
        slowed: by injected slowdown, the numbers of slowed cases, of caught ones, and of inconclusive ones.
    """

    trials: int = 0
    alarms: int = 0
    launches: int = 0
    steps: int = 0
    decided: int = 0
    slowed: dict[float, list[int]] = field(default_factory=dict)


def run(
    rule: Rule, suite: Callable[[dict[int, float]], Iterable[Case]], trials: int, slowdowns: Sequence[float]
) -> Counts:
    """Let a rule judge suites.

    Args:
        rule: the rule.
        suite: makes the cases of one suite, from the slowdown of each slowed one by its number.
        trials: suites in which nothing changed; a quarter as many have five slowed cases in a hundred.
        slowdowns: the injected slowdowns; 0.03 is 3%.
    """
    counts = Counts()
    for _ in range(trials):
        judge = rule.start(CASES)
        outcomes = [judge(case) for case in suite({})]
        counts.trials += 1
        counts.alarms += any(outcome.verdict == "regressed" for outcome in outcomes)
        counts.launches += sum(outcome.launches for outcome in outcomes)
        counts.steps += sum(outcome.steps for outcome in outcomes)
        counts.decided += sum(outcome.verdict != "inconclusive" for outcome in outcomes)
    for slowdown in slowdowns:
        seen = counts.slowed.setdefault(slowdown, [0, 0, 0])
        for trial in range(max(1, trials // 4)):
            judge = rule.start(CASES)
            chosen = {(trial + CASES // SLOWED * number) % CASES: slowdown for number in range(SLOWED)}
            for number, case in enumerate(suite(chosen)):
                verdict = judge(case).verdict if number in chosen or rule.budgeted else ""
                if number in chosen:
                    seen[0] += 1
                    seen[1] += verdict == "regressed"
                    seen[2] += verdict == "inconclusive"
    return counts


def upper_bound(events: int, trials: int) -> float:
    """The upper bound of a share with 95% confidence (Clopper and Pearson 1934)."""
    return 1.0 if events == trials else float(stats.beta.ppf(0.95, events + 1, trials - events))


def heading(slowdowns: Sequence[float]) -> str:
    """The table's first two lines."""
    columns = ["machine", "rule", "runs with a false alarm (95% bound)"]
    columns += [f"catches {slowdown:.0%} (undecided)" for slowdown in slowdowns]
    columns += ["launches a decided case", "seconds", "beside the reference's"]
    return f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}"


def row(machine: str, rule: Rule, counts: Counts) -> str:
    """One line of the table. Its launches and seconds of steps are those of unchanged cases."""
    cells = [machine, rule.name]
    cells.append(f"{counts.alarms / counts.trials:.1%} (< {upper_bound(counts.alarms, counts.trials):.1%})")
    for number, caught, undecided in counts.slowed.values():
        cells.append(f"{caught / number:.0%} ({undecided / number:.0%})" if number else "-")
    if counts.decided:
        launches = counts.launches / counts.decided
        cells += [f"{launches:.1f}", f"{counts.steps / counts.decided * STEP_S:.1f}"]
        cells.append(f"{launches / 2:.1f}" if rule.paired else f"{launches:.1f}")
    else:
        cells += ["none decided", "-", "-"]
    return f"| {' | '.join(cells)} |"
