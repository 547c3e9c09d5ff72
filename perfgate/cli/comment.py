"""``perfgate comment``: writes one comment on a pull request or merge request, from run files that are not trusted."""

import argparse
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from perfgate.cli.common import OK, add_command
from perfgate.records.untrusted import Untrusted, read_untrusted
from perfgate.remote.forges.forge import Change, Forge, NothingToSay
from perfgate.remote.forges.github import github
from perfgate.remote.forges.gitlab import gitlab
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError
from perfgate.system.temporary import temporary_folder

EPILOG = (
    "Reads only verdicts, within size limits, and shows every name as plain text. On GitHub the pull request must be "
    "open and its head must be the measured commit; unless exactly one is, nothing is posted."
)


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "comment", run, "comment on a pull request or merge request", epilog=EPILOG)
    parser.add_argument("runs", metavar="RUN", nargs="?", help="run file, folder of run files, or zip archive of them")
    parser.add_argument("--artifact", metavar="NAME", help="download this artifact of the run that the event names")
    parser.add_argument("--link", metavar="URL", default="", help="URL of the run or its page")
    parser.add_argument("--dry", action="store_true", help="print the comment, and post nothing")
    parser.add_argument("--event", metavar="FILE", help="the workflow's event; default: GITHUB_EVENT_PATH")
    parser.add_argument(
        "--login",
        metavar="NAME",
        default="",
        help="user who writes the comment; default on GitHub: github-actions[bot]",
    )
    parser.add_argument(
        "--baselines",
        metavar="DIR",
        default="baselines",
        help="folder of the baselines, whose changes are reported at the top",
    )


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Read the verdicts, find the pull request, and write the comment.

    Raises:
        UserError: the verdicts cannot be used (the comment then says so), or the comment cannot be written.
    """
    if bool(options.runs) == bool(options.artifact):
        raise UserError("name either a run file, or an artifact with --artifact")
    from perfgate.reports.comment import MARKER, comment, refusal  # imports pandas, which a refusal need not pay

    if options.dry:
        if options.artifact:
            raise UserError("--dry prints what a file on this machine says; name the file in place of --artifact")
        return OK, plain(comment(read_untrusted(Path(options.runs)), options.link, ""))
    try:
        forge = forge_of(options)
        change = forge.change()
    except NothingToSay as nothing:
        return OK, plain(str(nothing))
    try:
        found = verdicts(forge, options)
    except UserError as error:
        with suppress(UserError):
            still(forge, change)
            forge.publish(change, refusal(str(error), options.link, change.commit), MARKER)
        raise
    text = comment(found, options.link, change.commit, forge.moves_bar(change, options.baselines.rstrip("/")))
    try:
        still(forge, change)
    except NothingToSay as nothing:
        return OK, plain(str(nothing))
    return OK, plain(forge.publish(change, text, MARKER))


def verdicts(forge: Forge, options: argparse.Namespace) -> Untrusted:
    """The verdicts in the artifact, or in the given run files."""
    if options.runs:
        return read_untrusted(Path(options.runs))
    with temporary_folder("perfgate-comment-") as folder:
        return read_untrusted(forge.download(options.artifact, folder))


def still(forge: Forge, change: Change) -> None:
    """Check just before posting that the pull request has not changed while the verdicts were read.

    Raises:
        NothingToSay: it has changed.
    """
    if forge.change() != change:
        raise NothingToSay("nothing was posted: the pull request moved on")


def forge_of(options: argparse.Namespace) -> Forge:
    """GitHub or GitLab, as the CI system's environment variables tell.

    Raises:
        UserError: the variables name neither.
    """
    event = options.event or os.environ.get("GITHUB_EVENT_PATH", "")
    if event:
        return github(os.environ, Path(event), options.login)
    if os.environ.get("GITLAB_CI"):
        return gitlab(os.environ)
    raise UserError("this is neither a workflow of GitHub nor a pipeline of GitLab; print the comment with --dry")


def plain(text: str) -> Report:
    """A report that is only text."""
    import pandas as pd

    from perfgate.reports.report import Section

    lines = text.rstrip("\n").split("\n")
    return Report([Section(lines=lines)], pd.DataFrame({"line": lines}), {"text": text})
