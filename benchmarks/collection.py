"""Measures how much longer pytest takes to collect the suite than to collect as many empty tests.

    python -m benchmarks.collection [--runs 7]
    python -m benchmarks.collection --many 100000 [--only WORD]

Collections of both kinds take turns, each in a process of its own. The difference should be at most 1.0 s. The script
also prints which slow libraries were imported; there should be none.

With ``--many`` a suite of that many parametrized cases is collected in the usual ways of a large suite: alone, with a
plan, with ``-k``, as a shard, and by two workers that measure one case. The table compares its processor time with
that for a quarter of the cases: four times as many cases should take four times as long, and not sixteen times.
``--only`` chooses one way by a word of its options.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAVY = ("torch", "transformers", "pandas", "scipy", "rich", "numpy")
CODE = """
import sys, pytest
code = pytest.main(sys.argv[1:])
print("imported:", [name for name in {heavy!r} if name in sys.modules])
sys.exit(code)
"""


def collect(folder, *arguments):
    """Run one collection; return its seconds and its output."""
    command = [sys.executable, "-c", CODE.format(heavy=HEAVY), "--collect-only", "-q", "-p", "no:cacheprovider"]
    begin = time.perf_counter()
    done = subprocess.run([*command, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return time.perf_counter() - begin, done.stdout


MANY = """
import pytest
from perfgate import Workload


@pytest.mark.parametrize("number", range({count}))
def test_many(perf, number):
    perf(Workload("benchmarks.idle:Idle", id=f"idle-{{number}}"))
"""
COLLECTIONS = (
    ("--collect-only", "-p", "no:perfgate"),
    ("--collect-only",),
    ("--collect-only", "--perf-plan", "H100 SXM"),
    ("--collect-only", "-k", "999]"),
    ("--collect-only", "--perf-shard", "3/40"),
    ("-n", "2", "-k", "many[999]", "--perf-launches", "2"),
)


def collect_many(count, arguments):
    """Collect a suite of this many cases; return the processor seconds and peak bytes of the largest process."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "perf_tests").mkdir()
        (Path(folder) / "perf_tests" / "test_many.py").write_text(MANY.format(count=count))
        (Path(folder) / "pytest.ini").write_text("[pytest]\nperf_html = off\n")
        device = () if "no:perfgate" in arguments else ("--perf-device", "cpu")
        command = [sys.executable, "-m", "pytest", "perf_tests", "-q", "-p", "no:cacheprovider", *arguments, *device]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = process.stdout.read().decode().strip().splitlines()
        _, status, used = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status):
            raise SystemExit("\n".join(said[-20:]))
    return used.ru_utime + used.ru_stime, used.ru_maxrss << 10


def many(count, only):
    """Measure collections of many cases and print the table."""
    print(f"| options | {count // 4:,} cases | {count:,} cases | peak memory |\n|---|---|---|---|")
    for arguments in COLLECTIONS:
        if only in " ".join(arguments):
            few_s, _ = collect_many(count // 4, arguments)
            many_s, peak_bytes = collect_many(count, arguments)
            print(f"| {' '.join(arguments)} | {few_s:.1f} s | {many_s:.1f} s | {peak_bytes >> 20} MiB |", flush=True)


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--many", type=int, help="collect a suite of so many cases")
    parser.add_argument("--only", default="", help="a word of the options to collect with")
    options = parser.parse_args()
    if options.many:
        many(options.many, options.only)
        return
    runs = options.runs
    suite, bare = [], []
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "test_bare.py").write_text(
            "import pytest\n@pytest.mark.parametrize('n', range(136))\ndef test_it(n):\n    pass\n"
        )
        (Path(folder) / "pytest.ini").write_text("[pytest]\n")
        for _ in range(runs):
            bare.append(collect(folder, "-p", "no:perfgate")[0])
            seconds, output = collect(ROOT, "perf_tests", "--perf-tier", "full")
            suite.append(seconds)
    print(f"{'':34} {'median':>8} {'min':>8} {'max':>8}")
    differences = [a - b for a, b in zip(suite, bare, strict=True)]
    rows = {"bare pytest, 136 tests (s)": bare, "perf_tests, all tiers (s)": suite, "difference (s)": differences}
    for name, values in rows.items():
        print(f"{name:34} {statistics.median(values):8.2f} {min(values):8.2f} {max(values):8.2f}")
    print(output.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
