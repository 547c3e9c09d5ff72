"""``perfgate report``: tables of the values and verdicts in run files."""

import argparse
from typing import Any

from perfgate.cli.common import OK, add_command, add_fold, page_beside
from perfgate.records.runfile import read
from perfgate.reports.report import Report


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "report", run, "show the values and verdicts in run files as tables")
    parser.add_argument("runs", metavar="RUN", nargs="+", help="run file")
    parser.add_argument(
        "--work", metavar="CASE", help="show only the work of cases whose id contains CASE, by operator and module"
    )
    add_fold(parser)


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Read the run files; one that is broken is refused before anything is written."""
    runs = [read(path) for path in options.runs]
    from perfgate.reports.run_report import run_report  # imports pandas, which a refusal need not pay

    link = options.page or page_beside(options.runs[-1])
    return OK, run_report(runs, options.work, options.all, link)
