"""Measures the time that each part of ``ci/perf`` takes, and the memory of the parent process.

    python -m benchmarks.wall_share [pytest arguments]

Runs ``pytest perf_tests`` in this process, so that the stage's own timesheet can be read. At least 70% of the wall
time after the servers are up should be spent inside programs (set-up, warm-up, steps; the yardstick is a program too,
and is shown separately). The parent should stay under 250 MB.
"""

import resource
import sys
import time

import pytest


class TimesheetKeeper:
    """Keeps the stage's timesheet when the session ends."""

    def __init__(self):
        self.timesheet = None
        self.begin_s = 0.0
        self.wall_s = 0.0

    def pytest_collection_finish(self):
        """Start the clock after collection."""
        self.begin_s = time.perf_counter()

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session):
        """Stop the clock before the run file is written."""
        self.wall_s = time.perf_counter() - self.begin_s
        run = session.config.pluginmanager.getplugin("perfgate-run")
        self.timesheet = run.cases._runner.stage.timesheet


def main():
    """Run and print the table."""
    kept = TimesheetKeeper()
    code = pytest.main(["perf_tests", "-q", *sys.argv[1:]], plugins=[kept])
    timesheet = kept.timesheet
    after = kept.wall_s - timesheet.servers_s
    parent_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    rows = {
        "wall time after collection (s)": kept.wall_s,
        "servers starting (s)": timesheet.servers_s,
        "after servers are up (s)": after,
        "  inside the cases' programs (s)": timesheet.programs_s,
        "  inside the yardstick (s)": timesheet.yardstick_s,
        "  waiting for the device lock (s)": timesheet.waiting_s,
        "  forking, ending, deciding (s)": after - timesheet.programs_s - timesheet.yardstick_s - timesheet.waiting_s,
        "share inside the cases' programs (%)": 100 * timesheet.programs_s / after,
        "share inside programs, yardstick included (%)": 100 * (timesheet.programs_s + timesheet.yardstick_s) / after,
        "largest size of the parent (MB)": parent_mb,
    }
    for name, value in rows.items():
        print(f"{name:46} {value:8.1f}")
    return code


if __name__ == "__main__":
    sys.exit(main())
