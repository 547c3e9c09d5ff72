"""Measures the time and memory of commands on a large history.

    python -m benchmarks.history.scale [--cases 10000] [--runs 1000] [--metrics 3] [--new 20] [--repeat 3] [--keep DIR]

It generates the runs of one machine, merges them with ``perfgate history compact``, and runs the usual commands, each
in a separate process. A command is timed twice: as a whole process, and as work after the same process has read a tiny
history, so that every module is imported.
"""

import argparse
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import ruptures  # noqa: F401  a look imports it where something may have moved, which a tiny history need not have

from perfgate.cli.main import main as perfgate
from perfgate.history.table import COLUMNS, RUNS

MACHINE = "cpu-generated"
METRICS = ("step_time_s", "peak_memory_bytes", "operator_calls")
TINY = (101, 40)  # cases and runs
LOOKS = {
    "one case": ("show", "test_00100.py"),
    "all series": ("changes", "--format", "json"),
    "page of what changed": ("changes", "--format", "html"),
}
HEADER = "| look | of | work s | its processor s | command s | its processor s | peak MB |\n|" + "---|" * 7


def main() -> None:
    """Generate, merge, read, and print a row for each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--metrics", type=int, default=3, choices=(1, 2, 3))
    parser.add_argument("--new", type=int, default=20, help="runs since the merge")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="folder for the histories, which stays")
    parser.add_argument("--work", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(work(*options.work)))
        return
    with TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        tiny, large, grown = (folder / name for name in ("tiny", "large", "grown"))
        metrics = METRICS[: options.metrics]
        print(HEADER, flush=True)
        if not grown.exists():
            generate(tiny, TINY[0], range(TINY[1]), metrics)
            for half in (range(options.runs // 2), range(options.runs // 2, options.runs)):
                generate(large, options.cases, half, metrics)
            row("compact", "two halves", tiny, large, ("compact",))
            for number in range(options.runs, options.runs + options.new):
                generate(grown, options.cases, range(number, number + 1), metrics)
            (merged,) = (large / MACHINE).iterdir()
            (grown / MACHINE / merged.name).hardlink_to(merged)
        for of, url, repeat in (("a merged file", large, options.repeat), (f"it and {options.new} runs", grown, 1)):
            for name, command in LOOKS.items():
                for _ in range(repeat):
                    row(name, of, tiny, url, command)


def row(look: str, of: str, tiny: Path, large: Path, command: Sequence[str]) -> None:
    """Run a command in a separate process, and print its time and memory."""
    whole = [sys.executable, "-m", "benchmarks.history.scale", "--work", str(tiny), str(large), *command]
    work = json.loads(subprocess.run(whole, check=True, stdout=subprocess.PIPE).stdout)
    begin, before = time.perf_counter(), os.times()
    plain = [sys.executable, "-m", "perfgate", "history", *command, "--from", str(large)]
    process_s = wall_s = 0.0
    if look != "compact":  # compact has nothing left to do
        subprocess.run(plain, check=True, stdout=subprocess.DEVNULL)
        wall_s, after = time.perf_counter() - begin, os.times()
        process_s = after.children_user + after.children_system - before.children_user - before.children_system
    print(
        f"| {look} | {of} | {work['wall_s']:.2f} | {work['processor_s']:.2f} | {wall_s:.1f} | {process_s:.1f} "
        f"| {work['peak_mb']:.0f} |",
        flush=True,
    )


def work(tiny: str, large: str, *command: str) -> dict[str, float]:
    """Run a command of ``perfgate history`` with its modules already imported: seconds and memory."""
    for url in (tiny, large):
        begin, before = time.perf_counter(), time.process_time()
        with redirect_stdout(io.StringIO()):
            assert perfgate(["history", *command, "--from", url]) == 0
    return {
        "wall_s": time.perf_counter() - begin,
        "processor_s": time.process_time() - before,
        "peak_mb": peak_mb(),
    }


def generate(folder: Path, cases: int, runs: range, metrics: Sequence[str]) -> None:
    """Write the runs into one file: times with a spread of 2%, everything else exact.

    Of 100 cases, one gets 5% slower at the 501st run, or in the tiny history at its 21st.
    """
    (folder / MACHINE).mkdir(parents=True, exist_ok=True)
    names = json.dumps([f"run-{number:05d}" for number in runs])
    values = ", ".join(f"({place}, '{name}')" for place, name in enumerate(metrics))
    moved = 500 if cases > TINY[0] else TINY[1] // 2
    target = folder / MACHINE / f"20240101-{runs.start:012x}-{runs.stop:032x}.parquet"
    with duckdb.connect() as database:
        database.execute(f"set memory_limit = '2GB'; set temp_directory = '{folder}'; set threads = 2")
        database.execute(f"select setseed({runs.start / 1e6})")
        noise = "0.02 * (random() + random() + random() + random() - 2) * 1.73"  # sd 2%
        slower = f"case when c % 100 = 0 and r > {moved} then 1.05 else 1 end"
        drawn = (
            f"select c, r, name, place, 0.02 * (1 + {noise}) * ({slower}) as time from range({cases}) c(c), "
            f"(values {values}) m(place, name), range({runs.start}, {runs.stop}) r(r)"
        )
        points = (
            "select format('test_{:05d}.py::test', c) as case_id, name as metric, "
            "case place when 0 then time else 1000.0 + c end as value, "
            "case place when 0 then time * 100 end as yardsticks, 3::integer as launches, '' as accepted, "
            "format('run-{:05d}', r) as run_id, timestamptz '2024-01-01 00:00:00+00' + to_hours(r) as created, "
            f"'{MACHINE}' as machine, format('{{:040x}}', r) as commit_id, '{{\"torch\": \"2.13.0\"}}' as software "
            f"from ({drawn})"
        )
        database.execute(
            f"copy (select {COLUMNS} from ({points}) order by case_id, metric, created) to '{target}' "
            f"(format parquet, compression zstd, kv_metadata {{'{RUNS}': '{names}'}})"
        )


def peak_mb() -> float:
    """The largest resident size of this process; ``getrusage`` would begin with the parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1e3 if found else 0.0


if __name__ == "__main__":
    main()
