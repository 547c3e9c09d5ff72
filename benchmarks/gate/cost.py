"""Measures the time that gating takes if nothing got slower: the same cases in a plain run and against a revision.

    python -m benchmarks.gate.cost [-k "gpt2-quick and test_batch_size"] [--tier smoke]

The reference is this code without one comment, in a clone. The script prints actors and seconds per case, for timed
actors (duets) and for all actors, which include dry run, counters and memory. On average a case should need at most 5
launches of the candidate.
"""

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from perfgate.records.runfile import read

ROOT = Path(__file__).parent.parent.parent
REMARK = "# A remark that changes nothing.\n"


def main():
    """Clone, run both, print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("-k", default="gpt2-quick and test_batch_size", metavar="EXPRESSION")
    parser.add_argument("--tier", default="smoke")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perfgate-cost-") as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        with (clone / "fixtures" / "models.py").open("a") as file:
            file.write(REMARK)
        print("| run | cases | actors a case | candidate's launches a case | timed actors a case | s a case | worse |")
        print("|---|---|---|---|---|---|---|")
        for name, more in (("plain", []), ("--perf-ref HEAD", ["--perf-ref", "HEAD"])):
            show(name, run(clone, options, more))


def run(clone, options, more):
    """One run of the cases; returns its run file."""
    output = clone / "perf_output"
    before = set(output.glob("*.jsonl"))
    command = [sys.executable, "-m", "pytest", "perf_tests", "-q", "-k", options.k, "--perf-tier", options.tier, *more]
    subprocess.run(command, cwd=clone, check=False, stdout=sys.stderr)
    (made,) = set(output.glob("*.jsonl")) - before
    return read(made)


def show(name, found):
    """One row."""
    cases = {launch.case for launch in found.launches}
    count = len(cases)
    timed = sum(launch.pass_name == "time" for launch in found.launches)
    own = sum(launch.side == "candidate" for launch in found.launches)
    # Each timed launch outside of duets has one more actor beside it, for the yardstick.
    rods = sum(launch.pass_name == "time" and launch.pair is None for launch in found.launches)
    took_s = sum(line["took_s"] for line in found.others if line.get("kind") == "case")
    worse = Counter(verdict.verdict for verdict in found.verdicts)["regressed"]
    columns = [(len(found.launches) + rods) / count, own / count, (timed + rods) / count, took_s / count]
    print(f"| {name} | {count} | {' | '.join(f'{value:.1f}' for value in columns)} | {worse} |", flush=True)


if __name__ == "__main__":
    main()
