"""Measures how much longer pytest takes to collect the suite than to collect as many empty tests.

    python -m benchmarks.collection [--runs 7]

Collections of both kinds take turns, each in a process of its own. The difference should be at most 1.0 s. The script
also prints which slow libraries were imported; there should be none.
"""

import argparse
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


def main():
    """Measure and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=7)
    runs = parser.parse_args().runs
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
