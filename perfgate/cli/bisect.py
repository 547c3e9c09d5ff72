"""``perfgate bisect``: finds the commit, or the version of a package, with which a case got worse."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from perfgate.cli.common import OK, UNSURE, add_command
from perfgate.reports.live import Live
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import check_gated
from perfgate.shared.parsing import read_duration

EPILOG = (
    "Example: perfgate bisect 'perf_tests/inference/test_encoders.py::test_padded' --good v1.0 --bad HEAD. "
    "The case itself comes from the working tree, and runs with the code of each step. Decisions are kept, so the "
    "same command continues after an interruption."
)


def add(commands: Any) -> None:
    """Declare the command and its options."""
    help = "find the commit, or the version of a package, with which a case got worse"
    parser = add_command(commands, "bisect", run, help, epilog=EPILOG)
    parser.add_argument("case", metavar="CASE", help="a case's id; arguments for pytest follow after --")
    parser.set_defaults(pytest=())
    parser.behind = "pytest"
    parser.add_argument("--good", required=True, metavar="REV", help="a revision or version that is not worse yet")
    parser.add_argument(
        "--bad", default="", metavar="REV", help="one that is worse; default: HEAD, or the installed version"
    )
    parser.add_argument("--package", default="", metavar="NAME", help="search the released versions of this package")
    parser.add_argument(
        "--first-parent",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="treat a merge as one step; default: yes",
    )
    parser.add_argument("--metric", default="", help="follow this metric; default: the one that got worse most")
    parser.add_argument("--exact", action="store_true", help="only exact metrics, without times")
    parser.add_argument("--budget", default="", metavar="DURATION", help="time limit, such as 90s, 10m or 2h")
    parser.add_argument("--afresh", action="store_true", help="forget the earlier decisions of this bisection")


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Bisect, and report where the case got worse."""
    from perfgate.cli.ini import read_ini
    from perfgate.history.bisect.bisection import Bisection, Wish
    from perfgate.history.bisect.state import opened
    from perfgate.history.bisect.trial import Trials

    if options.metric:
        check_gated([options.metric], "--metric")
    end_s = time.monotonic() + read_duration("--budget", options.budget) if options.budget else None
    ini, live = read_ini(), Live(sys.stderr, 0)
    node, case = case_of(options.case, ini.root, ini.suite)
    course = course_of(options, ini, live)
    question = {
        "case": case,
        "package": options.package,
        "good": course.good,
        "bad": course.bad,
        "first_parent": options.first_parent,
        "metric": options.metric,
        "exact": options.exact,
        "pytest": list(options.pytest),
    }
    state = opened(ini.root / ini.output, question, options.afresh)
    trials = Trials(node, options.pytest, ini.root / ini.output, state.path.with_suffix(".log"), end_s)
    bisection = Bisection(course, state, trials, case, live.note)
    try:
        stopped = bisection.run(Wish(options.metric, options.exact))
    except KeyboardInterrupt:
        raise UserError("stopped; what was decided is kept, and the same command goes on from there") from None
    from perfgate.reports.bisect import bisect_report  # imports pandas, which takes time that a refusal need not pay

    left = bisection.left()
    return OK if left.found and state.change else UNSURE, bisect_report(course, state, left, stopped)


def course_of(options: argparse.Namespace, ini: Any, live: Live) -> Any:
    """The steps between the good and the bad end.

    Raises:
        UserError: an end is unknown.
    """
    from perfgate.history.bisect.courses import commits, versions
    from perfgate.system.provenance import version_here

    if options.package:
        return versions(
            ini.root, options.package, options.good, options.bad or version_here(options.package), live.note
        )
    written = [ini.root / ini.output, ini.root / ini.baselines]
    return commits(ini.root, options.good, options.bad or "HEAD", written, options.first_parent)


def case_of(name: str, root: Path, suite: str) -> tuple[str, str]:
    """A case in pytest's form, and its id.

    Raises:
        UserError: there is no such test file.
    """
    file, _, rest = name.partition("::")
    if not rest:
        raise UserError(f"{name!r} names no case; name one by its id, like test_file.py::test_name[value]")
    below = file if Path(file).is_file() else str(root / suite / file)
    if not Path(below).is_file():
        raise UserError(f"{name}: there is no file {file}, neither here nor in {suite}")
    path = Path(below).resolve()
    top = root / suite
    inside = path.relative_to(top) if path.is_relative_to(top) else path.relative_to(root)
    return f"{below}::{rest}", f"{inside}::{rest}"
