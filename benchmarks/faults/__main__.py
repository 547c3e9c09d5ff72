"""Runs the campaign: ``python -m benchmarks.faults [WORD] [--seed N] [--part I/N] [--results FILE] [--page FILE]``.

The word chooses rows. The seed chooses the random points of signals; without it they are new each time, and it is
printed. The outcome of each row is kept in the file of results. A row without complaint in that file is not run again,
so a campaign can be interrupted and divided. ``--page`` writes all rows of the file as a page.
"""

import argparse
import random
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.faults.results import Came, Results
from benchmarks.faults.table import Fault, faults
from benchmarks.faults.world import World

AT_ONCE = 2


def main() -> int:
    """Run the chosen rows; the exit code is the number of rows with a complaint."""
    parser = argparse.ArgumentParser()
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--part", default="1/1", help="every N-th row, from the I-th on")
    parser.add_argument("--results", type=Path, help="keep what came here, and run only what is not here yet")
    parser.add_argument("--page", type=Path, help="write the rows that are kept as a page")
    options = parser.parse_args()
    part, parts = map(int, options.part.split("/"))
    rows = list(faults(options.seed))
    results = Results.read(options.results)
    chosen = [one for one in rows if options.word in f"{one.kind}: {one.name}"][part - 1 :: parts]
    chosen = [one for one in chosen if not results.fine(one)]
    begin = time.monotonic()
    print("| kind | injected | expected | came |\n| --- | --- | --- | --- |")
    wrong = 0
    for came in run(chosen):
        results.add(came)
        wrong += bool(came.complaints)
        print(came.row, flush=True)
    print(f"\n{len(chosen)} faults in {time.monotonic() - begin:.0f} s, {wrong} with a complaint; seed {options.seed}.")
    if options.page:
        options.page.write_text(results.page(rows, options.seed))
    return min(wrong, 100)


def run(chosen):
    """Inject the faults, some at once; yield what came of each, in their order."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        template = World.new(Path(folder) / "template") if chosen else None

        def tried(numbered: tuple[int, Fault]) -> Came:
            number, fault = numbered
            lacks = f"not injected: this machine lacks {fault.lacks}" if fault.lacks else ""
            found = [lacks] if lacks else fault.complaints(template.copy(Path(folder) / f"fault-{number}"))
            return Came.of(fault, found)

        yield from pool.map(tried, enumerate(chosen))


if __name__ == "__main__":
    sys.exit(main())
