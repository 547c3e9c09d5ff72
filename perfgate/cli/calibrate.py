"""Records a calibration: a pytest run of its own over the chosen cases."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from perfgate.shared.errors import UserError
from perfgate.shared.parsing import read_shares

OUTPUT = Path("perf_output")


def recorded_run(arguments: Sequence[str], duets: int, slowdowns: str) -> Path:
    """Run the cases; returns the run file. What pytest prints goes to standard error.

    Args:
        arguments: of pytest; all of ``perf_tests`` where there are none.
        duets: of each case and slowdown.
        slowdowns: shares of a step's time, between commas.

    Raises:
        UserError: too few duets, slowdowns that are none, or pytest ended without a run file.
    """
    if duets < 4:
        raise UserError(f"--duets is {duets}; a screen and a first look take 4")
    read_shares("--slowdowns", slowdowns)
    before = set(OUTPUT.glob("*.jsonl"))
    cases = list(arguments) or ["perf_tests"]
    options = ["--perf-calibrate", str(duets), "--perf-slowdowns", slowdowns]
    options += ["--perf-output", str(OUTPUT), "-p", "no:benchmark"]
    command = [sys.executable, "-m", "pytest", *cases, *options]
    code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    made = sorted(set(OUTPUT.glob("*.jsonl")) - before, key=lambda path: path.stat().st_mtime_ns)
    if not made:
        raise UserError(f"pytest {' '.join(cases)} ended with exit code {code} and measured nothing")
    return made[-1]
