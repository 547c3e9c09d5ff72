"""``perfgate calibrate``: records duets in a separate pytest run, applies the gate's rule, and stores the noise."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfgate.cli.common import OK, add_command
from perfgate.cli.ini import Ini, add_preload, read_ini, with_preload
from perfgate.records.runfile import read
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import read_shares

SLOWDOWNS = "0,0.01,0.02,0.03,0.05,0.1"
FEWEST_DUETS = 4  # one for the screen and three for the first look
EPILOG = "Six duets of about 3 s a round: three cases and ten rounds take some ten minutes."


def add(commands: Any) -> None:
    """Declare the command and its options."""
    help = "measure this machine's noise, and which slowdowns the gate sees on it"
    parser = add_command(commands, "calibrate", run, help, epilog=EPILOG)
    parser.add_argument(
        "--duets", type=int, default=10, metavar="N", help="duets of each case and slowdown; default: 10"
    )
    parser.add_argument(
        "--slowdowns", default=SLOWDOWNS, metavar="LIST", help=f"shares to add to a step's time; default: {SLOWDOWNS}"
    )
    parser.add_argument(
        "--draws", type=int, default=1000, metavar="N", help="number of times to apply the rule; default: 1000"
    )
    parser.add_argument(
        "--from", dest="recorded", metavar="RUN", help="use this run file of a calibration, and measure nothing"
    )
    parser.add_argument(
        "--baselines",
        metavar="DIR",
        help="folder for noise.json; default: perf_baselines of the ini file",
    )
    add_preload(parser)
    parser.add_argument("--picture", metavar="FILE", help="file for the picture, as SVG; default: beside the run file")
    parser.add_argument(
        "pytest",
        nargs="*",
        metavar="PYTEST-ARGUMENT",
        help="arguments that choose the cases, after --: -- perf_tests -k gpt2",
    )


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Record duets, apply the gate's rule to them, and store the machine's noise."""
    from perfgate.cases.calibration import analyse, unusable
    from perfgate.cases.noise_file import write_noise
    from perfgate.reports.calibration import calibration_report, draw

    ini = read_ini()
    asked = (options.pytest, options.duets, options.slowdowns)
    path = Path(options.recorded) if options.recorded else record(*asked, ini, with_preload(ini, options.preload))
    recorded = read(path)
    machine = recorded.header["machine"]["name"]
    found = analyse(recorded.launches, machine, recorded.header["created"], options.draws)
    if not found.results:
        raise UserError(f"{path} holds too few duets that can be used: {unusable(recorded.launches)}")
    folder = Path(options.baselines or os.path.relpath(ini.root / ini.baselines)) / machine
    clock = found.clock.clock or "wall"
    stored = write_noise(folder, found.noise, clock) if found.noise.df else None
    picture = draw(found.results, Path(options.picture) if options.picture else path.with_suffix(".svg"))
    return OK, calibration_report(found, path, picture, stored)


def record(arguments: Sequence[str], duets: int, slowdowns: str, ini: Ini, preload: Sequence[str]) -> Path:
    """Run the cases, and return the run file. Pytest's output goes to standard error.

    Args:
        arguments: pytest's arguments; without any, the whole suite runs.
        duets: the number of duets for each case and slowdown.
        slowdowns: shares of a step's time, separated by commas.
        ini: the ini values, which name the suite and the folder of run files.
        preload: the modules that fork servers import in advance.

    Raises:
        UserError: there are too few duets, a slowdown is no number, or pytest ended without a run file.
    """
    if duets < FEWEST_DUETS:
        raise UserError(f"--duets is {duets}; a screen and a first look take {FEWEST_DUETS}")
    read_shares("--slowdowns", slowdowns)
    output = Path(os.path.relpath(ini.root / ini.output))
    before = set(output.glob("*.jsonl"))
    cases = list(arguments) or [os.path.relpath(ini.root / ini.suite)]
    options = ["--perf-calibrate", str(duets), "--perf-slowdowns", slowdowns, "-p", "no:benchmark"]
    options += ["-o", f"perf_preload={' '.join(preload)}"] if preload else []
    command = [sys.executable, "-m", "pytest", *cases, *options]
    code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    made = sorted(set(output.glob("*.jsonl")) - before, key=lambda path: path.stat().st_mtime_ns)
    if not made:
        raise UserError(f"pytest {' '.join(cases)} ended with exit code {code} and measured nothing")
    return made[-1]
