"""``perfgate issues``: opens one issue for each change in a history that made something worse."""

import argparse
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from perfgate.cli.comment import plain
from perfgate.cli.common import OK, add_command
from perfgate.cli.history import date, machines, opened, with_source
from perfgate.remote.forges.issues import issues
from perfgate.reports.report import Report
from perfgate.shared.parsing import positive

DAYS = 14
EPILOG = (
    "For a nightly workflow, after the step that adds the run to the history. An issue is found again by a mark in "
    "its text, even if it was closed, so no change gets two. Accepted changes get none."
)


def add(commands: Any) -> None:
    """Declare the command."""
    help_ = "open one issue for each change in a history that made something worse"
    parser = with_source(add_command(commands, "issues", run, help_, epilog=EPILOG))
    parser.add_argument("--since", type=date, metavar="DATE", help=f"the oldest change; default: {DAYS} days ago")
    parser.add_argument(
        "--most", metavar="N", default="10", help="largest number of issues to open at once; default: 10"
    )
    parser.add_argument("--dry", action="store_true", help="print the issues, and open none")
    parser.add_argument(
        "--login", metavar="NAME", default="", help="user who opens the issues; default: github-actions[bot]"
    )


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Read the history, and open an issue for each change that has none yet.

    Raises:
        UserError: there is no history, or the API refuses.
    """
    most = int(positive("--most", options.most, whole=True))
    store = opened(options)
    names = machines(store, options)
    forge = None if options.dry else issues(os.environ, options.login)
    from perfgate.history.changes import ALPHA  # imports numpy, which takes time that a refusal need not pay
    from perfgate.history.survey import survey
    from perfgate.reports.issue import findings, marks

    since = options.since or datetime.now(UTC) - timedelta(days=DAYS)
    known = [] if forge is None else marks(forge.texts())
    surveys = [survey(store, name, ALPHA / len(names), since) for name in names]
    all_ = [(found.machine, finding) for found in surveys for finding in findings(found)]
    new = [finding for machine, finding in all_ if not any(finding.is_in(mark, machine) for mark in known)]
    lines = []
    for finding in new[:most]:
        where = f"## {finding.title}\n\n{finding.text}" if forge is None else forge.open(finding.title, finding.text)
        lines.append(where if forge is None else f"Opened {where}: {finding.title}")
    if left := len(new) - len(lines):
        lines.append(f"{left} more are left for the next time; --most {len(new)} opens all.")
    if old := len(all_) - len(new):
        lines.append(f"{old} {'has' if old == 1 else 'have'} an issue already.")
    return OK, plain("\n".join(lines) if lines else f"Nothing got worse since {since:%Y-%m-%d}.")
