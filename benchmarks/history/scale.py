"""How long a large history takes to look at, and how much memory.

    python -m benchmarks.history.scale [--cases 10000] [--runs 1000] [--metrics 3]

It generates a merged file of one machine, as ``perfgate history compact`` leaves it, and then looks at all series, and
at one, each in a process of its own.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from perfgate.history.changes import ALPHA
from perfgate.history.store import COLUMNS, RUNS, Store
from perfgate.history.survey import look_at, survey

MACHINE = "cpu-generated"
METRICS = ("step_time_s", "peak_memory_bytes", "operator_calls")


def main() -> None:
    """Generate, look, and print a row for each look."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--metrics", type=int, default=3, choices=(1, 2, 3))
    parser.add_argument("--look", nargs=2, metavar=("WHAT", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.look:
        print(json.dumps(looked(*options.look)))
        return
    with TemporaryDirectory() as folder:
        begin = time.perf_counter()
        generate(Path(folder), options.cases, options.runs, METRICS[: options.metrics])
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
        print(f"generated {size / 1e6:.0f} MB in {time.perf_counter() - begin:.0f} s", flush=True)
        print("| look | wall s | processor s | peak MB | found |\n|---|---|---|---|---|")
        for what in ("changes", "one case"):
            command = [sys.executable, "-m", "benchmarks.history.scale", "--look", what, folder]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            print(
                f"| {what} | {found['wall']:.1f} | {found['cpu']:.1f} | {found['mb']:.0f} | {found['found']} |",
                flush=True,
            )


def generate(folder: Path, cases: int, runs: int, metrics: tuple[str, ...]) -> None:
    """Times with a spread of 2%, of which 1 case in 100 gets 5% slower in the middle; the rest is exact."""
    (folder / MACHINE).mkdir()
    names = json.dumps([f"run-{number:05d}" for number in range(runs)])
    values = ", ".join(f"({place}, '{name}')" for place, name in enumerate(metrics))
    with duckdb.connect() as database:
        database.execute(f"set memory_limit = '2GB'; set temp_directory = '{folder}'; set threads = 2")
        noise = "0.02 * (random() + random() + random() + random() - 2) * 1.73"  # sd 2%
        slower = f"case when c % 100 = 0 and r > {runs // 2} then 1.05 else 1 end"
        drawn = (
            f"select c, r, name, place, 0.02 * (1 + {noise}) * ({slower}) as time "
            f"from range({cases}) c(c), (values {values}) m(place, name), range({runs}) r(r)"
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
            f"copy (select {COLUMNS} from ({points}) order by case_id, metric, created) "
            f"to '{folder / MACHINE / 'merged-generated.parquet'}' "
            f"(format parquet, compression zstd, kv_metadata {{'{RUNS}': '{names}'}})"
        )


def looked(what: str, url: str) -> dict[str, object]:
    """Look at a history: seconds, memory, and what was found."""
    begin, cpu = time.perf_counter(), time.process_time()
    if what == "changes":
        found = survey(Store(url), MACHINE, ALPHA)
        told = f"{sum(len(event.changes) for event in found.events)} changes in {found.series} series"
    else:
        told = f"{len(look_at(Store(url), MACHINE, 'test_00100.py').series)} series"
    return {
        "wall": time.perf_counter() - begin,
        "cpu": time.process_time() - cpu,
        "mb": peak_mb(),
        "found": told,
    }


def peak_mb() -> float:
    """The largest resident size of this process; that of ``getrusage`` would begin with the parent's."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1e3 if found else 0.0


if __name__ == "__main__":
    main()
