"""Whether ``perfgate bisect`` finds a slowdown that was planted among the commits of an example repository.

    python -m benchmarks.bisect [--commits 64] [--slowdown 0.03] [--seed 0]

The program computes in a Python loop, so only its time tells: each step of the search is decided by duets.
"""

import argparse
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

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
    """Plant, bisect, and say whether it was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commits", type=int, default=64)
    parser.add_argument("--slowdown", type=float, default=0.03)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
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


def repository(folder: Path, commits: int, planted: int, slowdown: float) -> list[str]:
    """A repository with a slowdown in one commit; returns all commits, the oldest first."""
    (folder / "perf_tests").mkdir()
    # A step is good only if it is shown to be less slow than the bad end, so the tolerance is the slowdown's own.
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
    """Run git as somebody."""
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    return subprocess.run(
        ["git", *who, *arguments], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    ).stdout.strip()


if __name__ == "__main__":
    main()
