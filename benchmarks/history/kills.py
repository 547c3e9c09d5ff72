"""Kills processes that add to a history or merge it, at random moments, and reads the history after each kill.

python -m benchmarks.history.kills [--kills 100]
"""

import argparse
import os
import random
import signal
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from perfgate.history.points import Point, Run
from perfgate.history.series import opened
from perfgate.history.store import Store

MACHINE = "cpu-killed"
CASES = 50


def main() -> None:
    """Kill, and print the lost and doubled points."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        wrong = kill_at_random(Path(folder), options.kills, seed=0)
    print("\n".join(wrong) or f"{options.kills} kills: nothing was lost, and nothing counts twice")


def kill_at_random(folder: Path, kills: int, seed: int) -> list[str]:
    """Add and merge in child processes that are killed; returns a sentence for each error."""
    generator = random.Random(seed)
    store = Store(str(folder))
    wrong: list[str] = []
    kept: set[int] = set()
    for number in (-2, -1):
        add(store, number)
        kept.add(number)
    usual_s = duration_s(store)
    for number in range(kills):
        merging = number % 2 == 1
        child = os.fork()
        if not child:
            if merging:
                store.compact(MACHINE)
            else:
                add(store, number)
            os._exit(0)
        time.sleep(generator.uniform(0, usual_s))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        found = read(store)
        # A killed process may have stored its run or not; one that ended must have.
        if not merging and (number in found or os.WIFEXITED(status)):
            kept.add(number)
        if set(found) != kept or any(count != CASES for count in found.values()):
            wrong.append(f"kill {number}: {len(found)} of {len(kept)} runs are whole: {found}")
    return wrong


def add(store: Store, number: int) -> None:
    """Store a run."""
    run = Run(f"{number}", datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number), MACHINE, "c" * 40, "{}")
    store.add(run, [Point(f"a.py::test[{case}]", "operator_calls", number, None, 1, "", 1) for case in range(CASES)])


def read(store: Store) -> dict[int, int]:
    """The number of points that the history has of each run."""
    found: dict[int, int] = {}
    with opened(store, MACHINE) as history:
        for series in history.series():
            for run_id in series.runs:
                found[int(run_id)] = found.get(int(run_id), 0) + 1
    return found


def duration_s(store: Store) -> float:
    """The seconds of a merge, from a trial that leaves nothing to merge again."""
    start = time.monotonic()
    store.compact(MACHINE)
    return 1.5 * (time.monotonic() - start)


if __name__ == "__main__":
    main()
