"""Checks that ``perfgate bisect`` finds a slowdown that was planted among the commits of an example repository.

    python -m benchmarks.bisect [--commits 64] [--slowdown 0.03] [--seed 0]
    python -m benchmarks.bisect --simulated 500 [--spread 0.02]

The program computes in a Python loop, so only its time changes: each step of the search is decided by duets. Simulated
searches measure nothing: they draw their duets from recorded duets of a training step (``benchmarks/gate/
recorded``), with 0, 3 or 5% added to one side, and the gate and the search decide as usual. ``--spread``
makes duets vary more than those did.
"""

import argparse
import math
import random
import statistics
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from perfgate.cases.deadline import Deadline
from perfgate.cases.duets import DuetSeries, against_reference
from perfgate.gate.alpha_budget import AlphaBudget
from perfgate.history.bisect.bisection import Bisection, Wish
from perfgate.history.bisect.courses import Versions
from perfgate.history.bisect.state import State
from perfgate.records.launch import Launch
from perfgate.records.runfile import RunFile, read
from perfgate.shared.errors import UserError

RECORDED = Path(__file__).parent / "gate" / "recorded" / "gpt2-batch-4.jsonl"
NAME = "step_time_s"

PROGRAM = """
from perfgate.actor.programs.base import Program
from rounds import ROUNDS


class Loop(Program):
    def __init__(self, device):
        pass

    def step(self):
        total = 0
        for number in range(ROUNDS):
            total += number
"""
CASE = """
from perfgate import Workload


def test_loop(perf):
    perf(Workload("loop:Loop", {}), tolerance=TOLERANCE)
"""
ROUNDS = 100_000


def main() -> None:
    """Plant a slowdown, bisect, and report whether it was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=64)
    parser.add_argument("--slowdown", type=float, default=0.03)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--simulated", type=int, metavar="N", help="search N times, by recorded duets")
    parser.add_argument(
        "--spread", type=float, default=0.0, help="by which simulated duets vary more than recorded ones"
    )
    options = parser.parse_args()
    if options.simulated:
        simulate(options.simulated, options.commits, options.slowdown, options.seed, options.spread)
        return
    planted = random.Random(options.seed).randint(1, options.commits)
    with TemporaryDirectory() as folder:
        made = repository(Path(folder), options.commits, planted, options.slowdown)
        begin = time.perf_counter()
        command = [sys.executable, "-m", "perfgate", "bisect", "test_loop.py::test_loop", "--good", made[0]]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=False)
        print(done.stdout)
        found = f"{made[planted][:12]} " in done.stdout and done.returncode == 0
        where = f"commit {planted} of {options.commits}, {made[planted][:12]}"
        print(f"planted in {where}: {'found' if found else 'not found'}")
        print(f"{time.perf_counter() - begin:.0f} s")
    sys.exit(not found)


def simulate(searches: int, commits: int, slowdown: float, seed: int, spread: float) -> None:
    """Search with recorded duets, and print the results."""
    ends: Counter[str] = Counter()
    taken = []
    for number in range(searches):
        generator = random.Random(seed + number)
        planted = generator.randint(1, commits)
        trials = Recorded(planted, slowdown, spread, generator)
        course = Steps(Path(), "recorded", tuple(map(str, range(commits + 1))), lambda _: None)
        bisection = Bisection(course, Unsaved(Path(), {}), trials, trials.case, lambda _: None)
        try:
            bisection.run(Wish(NAME))
        except UserError:
            ends["no change between the ends"] += 1
            continue
        left = bisection.left()
        among = {*map(int, left.hidden), int(left.first_bad)}
        ends[("found" if left.found else f"among {len(among)} commits") if planted in among else "wrong"] += 1
        taken.append(trials.duets)
    print(f"{searches} searches for {slowdown:.0%} among {commits} commits, tolerance {slowdown:.0%}")
    print("| end | searches |\n|---|---|")
    for end, count in ends.most_common():
        print(f"| {end} | {count} ({count / searches:.1%}) |")
    usual, most = statistics.median(taken), max(taken)
    print(f"duets a search: {usual:.0f} in the median, {most} at most; trials decide after a few of them")


class Steps(Versions):
    """Steps that are numbers, so that none must be built."""

    def side(self, step: str) -> str:
        """The number itself."""
        return step


class Unsaved(State):
    """A state without a file."""

    def save(self) -> None:
        """Keep it only in memory."""


@dataclass
class Recorded:
    """Trials with recorded duets.

    Attributes:
        planted: the first slow step.
        slowdown: its slowdown; one of the recorded ones.
        spread: the spread to add to that of the recorded duets.
        generator: the generator for drawing duets.
        case: the recorded case.
        log: unused.
        duets: the number of duets taken.
    """

    planted: int
    slowdown: float
    spread: float
    generator: random.Random
    case: str = field(default="", init=False)
    log: Path = Path("none")
    duets: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._pairs = recorded_pairs()
        self.case = self._pairs[0.0][0][0].case

    def run(self, before: str, now: str, dry: bool) -> RunFile:
        """Compare a step with another one, by duets drawn at random."""
        slower = int(before) < self.planted <= int(now)
        series = Drawn(self._pairs[self.slowdown if slower else 0.0], self.spread, self.generator, self.case)
        verdicts, _ = against_reference(series, {NAME: self.slowdown}, AlphaBudget(1), thorough=True)
        self.duets += len(series.pairs)
        return RunFile({"run_id": "drawn"}, {}, tuple(series.judged()), tuple(verdicts))


class Drawn(DuetSeries):
    """A series of recorded duets."""

    def __init__(self, pairs: list[tuple[Launch, Launch]], spread: float, generator: random.Random, case: str) -> None:
        super().__init__(None, case, [], Deadline(None, 1), lambda _: None)  # type: ignore[arg-type]
        self._recorded, self._spread, self._generator = pairs, spread, generator

    def take(self, wanted: int, what: str) -> bool:
        """Draw this many duets, with replacement."""
        for before, now in self._generator.choices(self._recorded, k=wanted):
            number, factor = len(self.pairs), math.exp(self._generator.gauss(0, self._spread))
            steps = [step * factor for step in now.steps(NAME)]
            moved = replace(now, pair=number, metrics={**now.metrics, NAME: steps})
            self.pairs.append((replace(before, pair=number), moved))
            self.launches += self.pairs[-1]
        return True


def recorded_pairs() -> dict[float, list[tuple[Launch, Launch]]]:
    """The recorded duets by the slowdown of the candidate."""
    found: dict[float, list[tuple[Launch, Launch]]] = {}
    run = read(RECORDED)
    partners = {
        launch.pair: launch for launch in run.launches if launch.side == "reference" and launch.pair is not None
    }
    for launch in run.launches:
        if launch.side == "candidate" and launch.pair in partners:
            injected = launch.details.turns.injected or 0.0
            found.setdefault(injected, []).append((partners[launch.pair], launch))
    return found


def repository(folder: Path, commits: int, planted: int, slowdown: float) -> list[str]:
    """A repository with a slowdown in one commit; returns all commits, oldest first."""
    (folder / "perf_tests").mkdir()
    # A step is good only if it is shown to be less slow than the bad end, so the tolerance is the slowdown itself.
    (folder / "perf_tests" / "test_loop.py").write_text(CASE.replace("TOLERANCE", f"{slowdown}"))
    (folder / "loop.py").write_text(PROGRAM)
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / ".gitignore").write_text("perf_output/\n__pycache__/\n.pytest_cache/\n")
    git(folder, "init", "-q")
    made = []
    for number in range(commits + 1):
        rounds = round(ROUNDS * (1 + slowdown * (number >= planted)))
        (folder / "rounds.py").write_text(f"ROUNDS = {rounds}\nCOMMIT = {number}\n")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", f"step {number}")
        made.append(git(folder, "rev-parse", "HEAD"))
    return made


def git(folder: Path, *arguments: str) -> str:
    """Run git with a made-up user."""
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
