"""``perfgate upgrade``: what other versions of some packages do to the cases of this suite."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfgate.cli.common import OK, UNSURE, WORSE, add_command
from perfgate.records.runfile import RunFile, read
from perfgate.records.verdict import Verdict
from perfgate.reports.live import Live
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import read_share

OUTPUT = Path("perf_output")
EPILOG = (
    "Example: perfgate upgrade transformers==5.23.0 accelerate==1.15.0 --from requirements.txt -- perf_tests -k llama. "
    "Environments are built once and kept; exact metrics come first, then times, each case beside its old version."
)


def add(commands: Any) -> None:
    """Declare the command and its options."""
    help = "what other versions of some packages do to the cases of this suite"
    parser = add_command(commands, "upgrade", run, help, epilog=EPILOG)
    parser.add_argument(
        "packages",
        metavar="PACKAGE==VERSION",
        nargs="+",
        help="packages as pip takes them, each with its version; behind -- arguments of pytest: -- perf_tests -k llama",
    )
    parser.set_defaults(pytest=())
    parser.behind = "pytest"
    parser.add_argument(
        "--from",
        dest="start",
        default="",
        metavar="FILE|PYTHON",
        help="where the upgrade begins: a requirements file, or an interpreter; default: what is installed here",
    )
    parser.add_argument(
        "--tolerance", default="1%", metavar="SHARE", help="growth that fails, like 0.02 or 2%%; default: 1%%"
    )
    parser.add_argument("--exact", action="store_true", help="exact metrics alone, without times")
    parser.add_argument("--strict", action="store_true", help="exit with 3 where something could not be decided")


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Build both environments, run the suite in both, and write one report."""
    from perfgate.reference.upgrade import check_packages, upgrade_sides

    tolerance = read_share("--tolerance", options.tolerance)
    check_packages(options.packages)
    live = Live(sys.stderr, 0)
    try:
        sides = upgrade_sides(options.packages, options.start, Path.cwd(), live.note)
        live.clear()
        both = ["--perf-ref", sides.before, "--perf-candidate", sides.now]
        both += ["--perf-version-tolerance", options.tolerance]
        cases = options.pytest or ["perf_tests"]
        live.note("Exact metrics of both sides:")
        exact = measured(cases, [*both, "--perf-device", "none"])
        timed = None
        if not options.exact:
            live.note("Times and peaks, each case beside its old version:")
            timed = measured(cases, both)
    except KeyboardInterrupt:
        raise UserError("stopped; what was built is kept, and nothing that was not finished counts as built") from None
    from perfgate.reports.upgrade import UpgradeRuns, upgrade_report  # imports pandas, which a refusal need not pay

    runs = UpgradeRuns(sides.moved, sides.asked, sides.software[0], tolerance, exact, timed, (sides.before, sides.now))
    return exit_code(runs.verdicts, options.strict), upgrade_report(runs)


def measured(cases: Sequence[str], options: Sequence[str]) -> RunFile:
    """Run pytest, whose output goes to standard error; returns what it wrote.

    Raises:
        UserError: it ended without a run file.
    """
    before = set(OUTPUT.glob("*.jsonl"))
    command = [sys.executable, "-m", "pytest", *cases, *options, "--perf-output", str(OUTPUT), "-p", "no:benchmark"]
    code = subprocess.run(command, stdout=sys.stderr, check=False).returncode
    made = sorted(set(OUTPUT.glob("*.jsonl")) - before, key=lambda path: path.stat().st_mtime_ns)
    if not made:
        raise UserError(f"pytest {' '.join(cases)} ended with exit code {code} and measured nothing")
    if code == 2:  # interrupted: what was not reached must not look like a pass
        raise UserError(f"pytest {' '.join(cases)} was stopped before it had measured everything; see {made[-1]}")
    return read(made[-1])


def exit_code(verdicts: Sequence[Verdict], strict: bool) -> int:
    """0 nothing got worse, 1 something did or nothing was decided, 3 not all was decided and ``--strict`` was given."""
    names = {verdict.verdict for verdict in verdicts}
    if names & {"regressed", "stale"} or not names - {"inconclusive", "invalid"}:
        return WORSE
    return UNSURE if strict and names & {"inconclusive", "invalid", "new"} else OK
