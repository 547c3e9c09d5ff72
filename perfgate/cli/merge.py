"""``perfgate merge``: merges the run files of a suite's shards, and decides as one run would."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from perfgate.cli.common import OK, UNSURE, WORSE, add_command
from perfgate.gate.wording import COULD_NOT_TELL, UNDECIDED, counted_as
from perfgate.records.durations import write_durations
from perfgate.records.fetch import fetch, is_url
from perfgate.records.shards import Merged, merge_shards
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError
from perfgate.system.temporary import temporary_folder

EPILOG = (
    "Exit codes: 0 nothing got worse; 1 something did, or a case failed, or nothing was decided; 2 the parts do not "
    "belong together; 3 a shard is missing, or under --strict something could not be decided."
)


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "merge", run, "merge the run files of a suite's shards into one", epilog=EPILOG)
    parser.add_argument("parts", metavar="PART", nargs="+", help="run file of a shard, a folder of them, or a URL")
    parser.add_argument("-o", dest="run", metavar="RUN", required=True, help="the merged run file")
    parser.add_argument(
        "--durations", metavar="FILE", help="file for the duration of each case, by which --perf-shard deals later"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 3 if something could not be decided")


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Write the merged run file, and judge the run by all its cases."""
    target = Path(options.run)
    with temporary_folder("perfgate-merge-") as folder:
        merged = merge_shards(parts_of(options.parts, target, folder), target)
    if options.durations:
        keep_durations(Path(options.durations), merged)
    from perfgate.reports.merged import merged_report  # imports pandas, which a refusal need not pay

    return exit_code(merged, options.strict), merged_report(merged, target)


def keep_durations(path: Path, merged: Merged) -> None:
    """Store the duration of each case under its pytest node id.

    Raises:
        UserError: the file cannot be read or written.
    """
    root = str(merged.header["options"].get("root") or "")
    write_durations(path, {f"{root}/{case}" if root else case: took_s for case, took_s in merged.durations.items()})


def parts_of(names: Sequence[str], target: Path, fetched: Path) -> list[Path]:
    """The named run files, and those in named folders and below named URLs.

    Args:
        names: the files, folders and URLs.
        target: the merged file, which is left out.
        fetched: an empty folder for files from URLs.

    Raises:
        UserError: one of the names holds no run file, or cannot be read.
    """
    found: list[Path] = []
    for number, name in enumerate(names):
        if is_url(name):
            found += fetch(name, fetched / str(number))
            continue
        path = Path(name)
        inside = sorted(path.rglob("*.jsonl")) if path.is_dir() else [path]
        # An earlier merged file may lie in the same folder.
        inside = [part for part in inside if not path.is_dir() or part.resolve() != target.resolve()]
        if not inside:
            raise UserError(f"{path}: holds no run file (*.jsonl)")
        found += inside
    return found


def exit_code(merged: Merged, strict: bool) -> int:
    """The exit code, as described in the command's help; without any case nothing was decided."""
    names = {verdict.verdict for verdict in merged.verdicts if not verdict.accepted}
    every = {counted_as(verdict) for verdict in merged.verdicts}
    if names & {"regressed", "stale"} or merged.header.get("failed") or (every and every <= COULD_NOT_TELL):
        return WORSE
    if not merged.cases:
        return WORSE
    if merged.missing or (strict and names & UNDECIDED):
        return UNSURE
    return OK
