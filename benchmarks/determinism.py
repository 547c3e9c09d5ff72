"""Checks that the suite's exact metrics are the same in every run, and equal to the stored ones.

    python -m benchmarks.determinism [--runs 20] [--tier quick] [--device none] [pytest arguments]

Runs alternate between four ways: alone; over two workers; in random order, if pytest-randomly is installed (the extra
dev has it; it stays switched off elsewhere); and beside two busy processes. Each has a hash seed of its own. Each is
compared with the portable baselines, and each exact metric of each case with that of the first run that has it. With
``--device none`` these are the metrics of the dry run; with ``cpu`` also Python's calls in real steps, without times.
The exit code is 1 if a number differs.
"""

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

from perfgate.gate.wording import counted_as
from perfgate.records.runfile import read
from perfgate.shared.metrics import metric

ROOT = Path(__file__).parent.parent
KINDS = {
    "alone": (),
    "two workers": ("-n", "2"),
    "random order": (),
    "beside two busy processes": (),
}
COLUMNS = ("run", "how", "hash seed", "cases", "exact metrics", "verdicts", "differing", "seconds")
WORSE = ("regressed", "improved", "stale")  # a case without a dry run is invalid in every run


def main():
    """Make the runs and print a row for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--tier", default="quick")
    parser.add_argument("--device", default="none")
    options, more = parser.parse_known_args()
    kinds = [kind for kind in KINDS if kind != "random order" or importlib.util.find_spec("pytest_randomly")]
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}")
    first, wrong = {}, 0
    for number in range(options.runs):
        kind, seed = kinds[number % len(kinds)], random.randrange(1, 2**32)
        begin = time.monotonic()
        found, counts, code = exact_metrics(
            kind, seed, [*more, "--perf-tier", options.tier, "--perf-device", options.device, "--perf-launches", "0"]
        )
        differing = sorted(key for key, value in found.items() if first.setdefault(key, value) != value)
        lost = sorted(first.keys() - found.keys())
        cases, told = len({case for case, _ in found}), ", ".join(f"{count} {name}" for name, count in counts.items())
        took_s = time.monotonic() - begin
        row = [number + 1, kind, seed, cases, len(found), told, len(differing) + len(lost), f"{took_s:.0f}"]
        print(f"| {' | '.join(map(str, row))} |", flush=True)
        for case, name in differing:
            print(f"{case}: {name} is {found[case, name]} and was {first[case, name]}", file=sys.stderr)
        for case, name in lost:
            print(f"{case}: {name} is missing, and was {first[case, name]}", file=sys.stderr)
        wrong += len(differing) + len(lost) + sum(counts[name] for name in WORSE) + (code != 0)
    if "random order" not in kinds:
        print("\npytest-randomly is not installed, so no run was in random order.")
    return int(wrong > 0)


def exact_metrics(kind, seed, arguments):
    """Make a run; returns its exact metrics by case and name, their verdicts by word, and its exit code."""
    order = ("-p", "randomly") if kind == "random order" else ("-p", "no:randomly")
    command = [sys.executable, "-m", "pytest", "perf_tests", "-q", "--perf-html", "off", "-p", "no:cacheprovider"]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        if kind == "beside two busy processes":
            stack.enter_context(busy(2))
        where = ["--perf-output", folder, *KINDS[kind], *order]
        env = os.environ | {"PYTHONHASHSEED": str(seed)}
        done = subprocess.run([*command, *where, *arguments], cwd=ROOT, env=env, capture_output=True, check=False)
        files = list(Path(folder).glob("*.jsonl"))
        if not files:
            raise SystemExit(
                done.stdout.decode(errors="replace")[-3000:] + done.stderr.decode(errors="replace")[-1000:]
            )
        run = read(files[0])
    found = {
        (launch.case, name): launch.value(name)
        for launch in run.launches
        if not launch.invalid and launch.side == "candidate" and launch.details.turns.first is None
        for name in launch.metrics
        if metric(name).portable and metric(name).gated
    }
    verdicts = [verdict for verdict in run.verdicts if metric(verdict.metric).portable and not verdict.expected]
    counts = Counter(map(counted_as, verdicts))
    if any(counts[name] for name in WORSE) or done.returncode:
        print(done.stdout.decode(errors="replace")[-5000:], file=sys.stderr)
    return found, counts, done.returncode


@contextmanager
def busy(count):
    """Keep this many processes computing within the block."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in started:
            process.kill()
            process.wait()


if __name__ == "__main__":
    sys.exit(main())
