"""``perfgate history``: keeps the numbers of many runs, and reports changes with their dates and commits."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfgate.cli.common import OK, add_command
from perfgate.history.points import points_of, run_of
from perfgate.history.store import Store
from perfgate.records.runfile import read
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import read_share

HELP = "keep the numbers of many runs, and find what moved, when, and between which commits"
URL = "a folder, or a URL that fsspec opens, such as s3://bucket/history; default: perf_history of the ini file"


def add(commands: Any) -> None:
    """Declare the command and its parts."""
    parser = commands.add_parser("history", help=HELP, description=f"Perfgate can {HELP}.")
    parts = parser.add_subparsers(required=True, metavar="PART")
    added = add_command(parts, "add", add_runs, "add runs to a history: RUN... --to URL")
    added.add_argument("runs", metavar="RUN", nargs="+", help="run file")
    added.add_argument("--to", dest="url", metavar="URL", help=URL)
    with_source(add_command(parts, "compact", compact, "merge the files of each machine into one, sorted by case"))
    changes = with_source(add_command(parts, "changes", list_changes, "list the changes, newest first"))
    changes.add_argument("--since", type=date, metavar="DATE", help="leave out earlier changes: 2026-11-01")
    changes.add_argument(
        "--alpha",
        type=share,
        metavar="SHARE",
        help="chance that the whole list shows a change although nothing changed; default: 0.1",
    )
    show = with_source(
        add_command(parts, "show", show_case, "show the values of one case over its runs, and their changes")
    )
    show.add_argument("case", metavar="CASE", help="a case's id, or a part of it")
    for part in (changes, show):
        part.add_argument("--runs", type=Path, metavar="DIR", help="folder of run files; the page links to those in it")


def with_source(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add the options that choose the history to read."""
    parser.add_argument("--from", dest="url", metavar="URL", help=URL)
    parser.add_argument("--machine", metavar="NAME", help="only this machine; default: all that have a history")
    return parser


def date(text: str) -> datetime:
    """Read a day or a moment; in UTC unless it names another time zone."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date; write 2026-11-01, or 2026-11-01T08:30") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def share(text: str) -> float:
    """Read a share above 0 and below 1."""
    try:
        found = read_share("", text)
    except UserError:
        found = 0.0
    if not 0 < found < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no chance; write a number between 0 and 1, such as 0.1")
    return found


def opened(options: argparse.Namespace) -> Store:
    """The history that the options or the ini file name."""
    url = options.url
    if not url:
        from perfgate.cli.ini import read_ini  # asks pytest, which takes time

        url = read_ini().history
    if not url:
        option = "--from" if hasattr(options, "machine") else "--to"
        raise UserError(f"no history is named; name one with {option} URL, or as perf_history in the ini file")
    return Store(url)


def machines(store: Store, options: argparse.Namespace) -> list[str]:
    """The machines to report on."""
    known = store.machines()
    if not known:
        raise UserError(
            f"{store.url}: holds no history; keep a run there with: perfgate history add RUN --to {store.url}"
        )
    if options.machine and options.machine not in known:
        raise UserError(f"{store.url}: knows no machine {options.machine!r}; it has {', '.join(known)}")
    return [options.machine] if options.machine else known


def add_runs(options: argparse.Namespace) -> tuple[int, Report]:
    """Add runs to the history. All are read and checked before the first is added."""
    from perfgate.reports.history import added_report

    found = [(run_of(run), list(points_of(run))) for run in map(read, options.runs)]
    store = opened(options)
    return OK, added_report(store.url, [(run, len(points), store.add(run, points)) for run, points in found])


def compact(options: argparse.Namespace) -> tuple[int, Report]:
    """Merge the files of each machine."""
    from perfgate.reports.history import compacted_report

    store = opened(options)
    return OK, compacted_report({name: store.compact(name) for name in machines(store, options)})


def list_changes(options: argparse.Namespace) -> tuple[int, Report]:
    """List the changes on each machine."""
    from perfgate.history.changes import ALPHA
    from perfgate.history.survey import survey
    from perfgate.reports.history import changes_report

    store = opened(options)
    alpha = options.alpha or ALPHA
    names = machines(store, options)
    return OK, changes_report([survey(store, name, alpha / len(names), options.since) for name in names], options.runs)


def show_case(options: argparse.Namespace) -> tuple[int, Report]:
    """Show the values of cases over their runs."""
    from perfgate.history.survey import look_at
    from perfgate.reports.history import shown_report

    store = opened(options)

    found, refusals = [], []
    for name in machines(store, options):
        try:
            found.append(look_at(store, name, options.case))
        except UserError as error:  # another machine may have the case
            refusals.append(error)
    if not found:
        raise refusals[0]
    return OK, shown_report(found, options.runs)
