"""Soaks the stage: takes many launches in one process, and checks that nothing grows with their number.

    python -m benchmarks.soak [--launches 20000] [--every 50] [--smoke] [--points FILE.csv] [--picture FILE.svg]

One launch after the other is forked, takes a step and ends, as in a suite that never ends; so parent and fork servers
get as old as they ever do. After every 50 launches the script reads, from /proc, the memory that belongs to the parent
and to each server alone, their open descriptors, the processes below the parent, and what lies on the disk. It prints
the slope of each over the launches without the first tenth, with the upper end of a 95% interval that allows for
correlated neighbours. The exit code is 1 if that bound is 1 kB a launch or more for memory or disk, or if a
descriptor, a process or a file is left. ``--smoke`` then runs the smoke tier in a separate process and reports what it
leaves behind. An interrupted soak reports its results so far.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from perfgate.history.segments import long_run_spread
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.shared.workload import Workload

ROOT = Path(__file__).parent.parent
LIMIT_BYTES = 1000.0  # for each launch
WARM_UP = 0.1  # the share of points at the beginning, where things are imported, compiled or cached once
LEAST_POINTS = 20
IDLE = Workload("benchmarks.idle:Idle", {})
COUNTS = ("descriptors", "processes", "files")


def main():
    """Launch, observe, and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--launches", type=int, default=20_000)
    parser.add_argument("--every", type=int, default=50)
    parser.add_argument("--smoke", action="store_true", help="run the smoke tier as well")
    parser.add_argument("--points", type=Path, help="write what was seen as CSV")
    parser.add_argument("--picture", type=Path, help="draw what was seen as SVG")
    options = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        points = soaked(options.launches, options.every, Path(folder))
    hours = (time.monotonic() - begin) / 3600
    if options.points:
        written(options.points, points)
    if options.picture and points:
        drawn(options.picture, points)
    done = points[-1]["launches"] if points else 0
    print(f"{done} of {options.launches} launches in {hours:.2f} hours, {len(points)} points.\n")
    bad = told(points)
    return max(bad, smoke() if options.smoke else 0)


def soaked(launches, every, folder):
    """Take the launches; returns the observations after every few launches, as far as it got."""
    stage = Stage(["perfgate.actor.programs.base"], folder, MeasurementPlan())
    points = []
    try:
        stage.start()
        for number in range(1, launches + 1):
            with stage.actor(stage.pool.next(), IDLE, "time") as (actor, _ready):
                stage.step(actor)
            if number % every == 0:
                points.append({"launches": number, **seen(folder)})
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    finally:
        stage.close()
    return points


def seen(folder):
    """The resources that the parent and its servers hold now."""
    parent = os.getpid()
    servers = sorted(below(parent))
    found = {"bytes of the parent": own_bytes(parent), "descriptors of the parent": descriptors(parent)}
    for number, server in enumerate(servers):
        found[f"bytes of server {number}"] = own_bytes(server)
        found[f"descriptors of server {number}"] = descriptors(server)
    with os.scandir(folder) as entries:
        files = [entry.stat() for entry in entries if entry.is_file()]
    found["processes below the parent"] = len(servers) + sum(len(below(server)) for server in servers)
    return found | {"bytes on the disk": sum(stat.st_blocks * 512 for stat in files), "files on the disk": len(files)}


def own_bytes(process_id):
    """Memory that belongs to one process alone, without memory shared with its forks."""
    rows = Path(f"/proc/{process_id}/smaps_rollup").read_text().splitlines()
    return sum(int(row.split()[1]) << 10 for row in rows if row.startswith(("Private", "Swap:")))


def descriptors(process_id):
    """The number of open files, pipes and sockets of a process."""
    return len(list(Path(f"/proc/{process_id}/fd").iterdir()))


def below(process_id):
    """Ids of a process's children."""
    tasks = Path(f"/proc/{process_id}/task").glob("*/children")
    return [int(word) for task in tasks for word in task.read_text().split()]


def told(points):
    """Print a row for each quantity; returns whether one grows."""
    if len(points) < LEAST_POINTS:
        print(f"{len(points)} points are too few for a slope; {LEAST_POINTS} are needed.")
        return 1
    kept = points[int(len(points) * WARM_UP) :]
    at = np.array([point["launches"] for point in kept], float)
    columns = defaultdict(list)
    for point in kept:
        for name, value in point.items():
            columns[name].append(value)
    columns.pop("launches")
    grows = []
    print("| what | first | last | slope a launch | at most (95%) | flat |\n|---|---|---|---|---|---|")
    for name, values in columns.items():
        slope, high = slope_of(at, np.array(values, float))
        counted = name.startswith(COUNTS)
        flat = values[-1] <= values[0] if counted else high < LIMIT_BYTES
        grows.append(not flat)
        cells = [name, f"{values[0]:,}", f"{values[-1]:,}", f"{slope:.3f}", f"{high:.3f}", "yes" if flat else "NO"]
        print(f"| {' | '.join(cells)} |")
    return int(any(grows))


def slope_of(at, values):
    """The slope of a straight line, and the upper bound of its 95% interval."""
    slope, level = np.polyfit(at, values, 1)
    spread = long_run_spread(values - (slope * at + level))
    error = spread / math.sqrt(float(np.sum((at - at.mean()) ** 2)))
    return slope, slope + 1.96 * error


def written(path, points):
    """Write the points as CSV."""
    rows = [",".join(points[0])] + [",".join(map(str, point.values())) for point in points] if points else []
    path.write_text("\n".join(rows) + "\n")


def drawn(path, points):
    """Draw what was seen: bytes in MiB, and counts as they are, over the number of launches."""
    import pygal

    chart = pygal.XY(
        title="What the parent and its servers hold, over launches (bytes in MiB)",
        x_title="launches",
        show_dots=False,
        legend_at_bottom=True,
        legend_at_bottom_columns=2,
        js=[],
        width=900,
        height=600,
    )
    for name in list(points[0])[1:]:
        unit = 1 << 20 if name.startswith("bytes") else 1
        chart.add(name, [(point["launches"], point.get(name, 0) / unit) for point in points])
    path.write_bytes(chart.render())


def smoke():
    """Run the smoke tier and report what it leaves behind; returns whether that is anything."""
    with tempfile.TemporaryDirectory() as scratch:
        env = os.environ | {"TMPDIR": scratch, "SOAK": scratch}
        output = Path(scratch, "output")
        command = [sys.executable, "-m", "pytest", "perf_tests", "--perf-tier", "smoke", "--perf-output", str(output)]
        begin = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        took_s = time.monotonic() - begin
        # The turns of a machine's devices are kept for the next run.
        left = [
            str(path)
            for path in Path(scratch).rglob("*")
            if path.is_file() and not path.is_relative_to(output) and not path.name.endswith((".turn", ".lock.db"))
        ]
        strays = [place.parent.name for place in Path("/proc").glob("[0-9]*/environ") if carries(place, scratch)]
    lines = done.stdout.strip().splitlines()
    print(f"\nThe smoke tier ended with {done.returncode} after {took_s:.0f} s: {lines[-1]}")
    for line in lines:
        if line.startswith(("FAILED", "ERROR")):
            print(line)
    print(f"Processes left: {len(strays)}; temporary files left: {left or 'none'}.")
    return int(bool(strays))


def carries(environ, scratch):
    """Whether a living process was started with this folder for its temporary files."""
    try:
        return f"SOAK={scratch}".encode() in environ.read_bytes().split(b"\0")
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(main())
