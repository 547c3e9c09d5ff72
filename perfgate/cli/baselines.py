"""``perfgate baselines``: shows stored baselines, who changed them and why, and changes whole baselines."""

import argparse
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from perfgate.cli.common import OK, WORSE, add_command
from perfgate.gate.wording import are, many
from perfgate.records.runfile import read
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError, nearest
from perfgate.system.git import git_state

HELP = "list, show, prune and move baselines, and store accepted regressions"


def add(commands: Any) -> None:
    """Declare the command and its parts."""
    parser = commands.add_parser("baselines", help=HELP, description=f"Perfgate can {HELP}.")
    parts = parser.add_subparsers(required=True, metavar="PART")
    add_command(parts, "list", list_all, "list the machines, and accepted regressions: by whom, until when")
    show = add_command(parts, "show", show_case, "show the baselines of a case, and who changed them and why")
    show.add_argument("case", metavar="CASE", help="a case's id, or a part of it")
    prune = add_command(
        parts, "prune", prune_gone, "list the baselines of cases that no longer exist; --yes removes them"
    )
    prune.add_argument("--yes", action="store_true", help="remove them")
    move = add_command(parts, "move", move_machine, "give a machine's baselines to another machine: move OLD NEW")
    move.add_argument("old", metavar="OLD", help="name of the machine that has the baselines")
    move.add_argument("new", metavar="NEW", help="name of the machine that gets them")
    promote = add_command(parts, "promote", promote_runs, "store the measurements of run files, each as one session")
    promote.add_argument("runs", metavar="RUN", nargs="+", help="run file")
    promote.add_argument("--mode", default="more", choices=("new", "improved", "more"), help="default: more")
    accept = add_command(parts, "accept", accept_run, "store those regressions of a run that commits accept")
    accept.add_argument("run", metavar="RUN", help="run file of the merged code, compared with its baselines")


def folder() -> tuple[Path, Any]:
    """The folder of the baselines, and the other ini values."""
    from perfgate.cli.ini import read_ini

    ini = read_ini()
    return ini.root / ini.baselines, ini


def list_all(_: argparse.Namespace) -> tuple[int, Report]:
    """List all baselines, and the acceptances that are overdue."""
    from perfgate.cases.accept import written
    from perfgate.records.baseline_folder import cases_of, machines
    from perfgate.reports.baselines import listed_report

    root, ini = folder()
    stored = {name: cases_of(root, name) for name in machines(root)}
    commits = written(root, "", ini.suite) if git_state(root)[0] else []
    return OK, listed_report(stored, commits, datetime.now(UTC).date().isoformat())


def show_case(options: argparse.Namespace) -> tuple[int, Report]:
    """Show the baselines of some cases, with the commits that changed them."""
    from perfgate.records.baseline_folder import cases_of, machines
    from perfgate.reports.baselines import shown_report

    root, _ini = folder()
    stored = {name: cases_of(root, name) for name in machines(root)}
    found = {name: [one for case, one in cases.items() if options.case in case] for name, cases in stored.items()}
    if not any(found.values()):
        known = sorted({case for cases in stored.values() for case in cases})
        raise UserError(f"nothing is stored of a case with {options.case!r} in its id{nearest(options.case, known)}")
    return OK, shown_report(root, found)


def prune_gone(options: argparse.Namespace) -> tuple[int, Report]:
    """List, or remove, the baselines of cases that no longer exist."""
    from perfgate.records.baseline_folder import cases_of, machines, remove
    from perfgate.reports.baselines import pruned_report

    root, ini = folder()
    present = collected(ini.suite)
    gone = {name: sorted(set(cases_of(root, name)) - present) for name in machines(root)}
    if options.yes:
        for name, cases in gone.items():
            remove(root, name, cases)
    return (OK if options.yes or not any(gone.values()) else WORSE), pruned_report(gone, options.yes)


def collected(suite: str) -> set[str]:
    """The ids of all cases of the suite.

    Raises:
        UserError: pytest cannot collect all of them, so a missing case may only be broken.
    """
    command = [sys.executable, "-m", "pytest", suite, "--collect-only", "-q", "--perf-tier", "full", "-m", ""]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    found = {line.removeprefix(f"{suite}/") for line in done.stdout.splitlines() if "::" in line}
    if done.returncode or not found:
        said = [line for line in (*done.stdout.splitlines(), *done.stderr.splitlines()) if line.strip()]
        raise UserError(
            f"pytest cannot collect all cases, so none is taken for gone: {said[-1] if said else 'no reason'}"
        )
    return found


def move_machine(options: argparse.Namespace) -> tuple[int, Report]:
    """Give a machine's baselines to another machine."""
    from perfgate.records.baseline_folder import rename
    from perfgate.reports.baselines import said_report

    root, _ini = folder()
    count = rename(root, options.old, options.new)
    return OK, said_report(
        [f"{many(count, 'case')} of {options.old} {are(count)} now stored for {options.new}."],
        {"cases": count},
    )


def promote_runs(options: argparse.Namespace) -> tuple[int, Report]:
    """Store the measurements of run files."""
    from perfgate.cases.update import update_baselines
    from perfgate.reports.baselines import said_report

    root, _ini = folder()
    lines, document = [], {}
    for run in map(read, options.runs):
        run_id = run.header["run_id"]
        if run.header.get("reference"):
            raise UserError(f"run {run_id} was held against a reference, and such a run stores nothing")
        failed = dict(run.header.get("failed") or {})
        worse = {one.case: f"{one.metric} got worse" for one in run.verdicts if one.verdict == "regressed"}
        unfit = worse | failed
        done = update_baselines(run, root, options.mode, "", set(run.by_case()) - set(unfit), unfit)
        kept, left = len(done.stored), len(done.left)
        lines.append(f"{run_id}: {many(kept, 'case')} {are(kept)} stored, {left} {are(left)} not.")
        lines += [f"{case}: {why}" for case, why in done.left.items()]
        document[run_id] = {"stored": list(done.stored), "left": dict(done.left)}
    return OK, said_report(lines, document)


def accept_run(options: argparse.Namespace) -> tuple[int, Report]:
    """Store the regressions that commits accept."""
    from perfgate.cases.accept import accept_merged
    from perfgate.reports.baselines import said_report

    root, ini = folder()
    stored, left = accept_merged(read(options.run), root, ini.suite)
    lines = [f"{case}: stored, as it is accepted {why}." for case, why in stored.items()]
    lines += [f"{case}: not stored: {why}." for case, why in left.items()]
    return (WORSE if left else OK), said_report(
        lines or ["Nothing in this run got worse."], {"stored": stored, "left": left}
    )
