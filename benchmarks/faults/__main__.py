"""Runs the campaign and prints its table: ``python -m benchmarks.faults [WORD] [--seed N] [--part I/N]``.

The word chooses rows. The seed chooses the random points of Ctrl-C; without it they are new each time, and it is
printed.
"""

import argparse
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.faults.table import Fault, faults
from benchmarks.faults.world import World

AT_ONCE = 2


def main() -> int:
    """Run the chosen rows; the exit code is the number of rows with a complaint."""
    parser = argparse.ArgumentParser()
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--part", default="1/1", help="every N-th row, from the I-th on")
    options = parser.parse_args()
    part, parts = map(int, options.part.split("/"))
    chosen = [one for one in faults(options.seed) if options.word in f"{one.kind}: {one.name}"][part - 1 :: parts]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        template = World.new(Path(folder) / "template")

        def tried(at: int) -> list[str]:
            if lacks := chosen[at].lacks:
                return [f"not injected: this machine lacks {lacks}"]
            return chosen[at].complaints(template.copy(Path(folder) / f"fault-{at}"))

        with ThreadPoolExecutor(AT_ONCE) as pool:
            found = list(pool.map(tried, range(len(chosen))))
    print("| kind | injected | expected | came |\n| --- | --- | --- | --- |")
    for fault, complaints in zip(chosen, found, strict=True):
        print(row(fault, complaints))
    wrong = sum(map(bool, found))
    print(f"\n{len(chosen)} faults in {time.monotonic() - begin:.0f} s, {wrong} with a complaint; seed {options.seed}.")
    return min(wrong, 100)


def row(fault: Fault, complaints: list[str]) -> str:
    """A fault's line of the table."""
    came = "; ".join(complaints).replace("\n", " ").replace("|", "/") or "as expected, nothing was left"
    said = f", and says {fault.says!r}" if fault.says else ""
    return f"| {fault.kind} | {fault.name} | {fault.end}{said} | {came} |"


if __name__ == "__main__":
    sys.exit(main())
