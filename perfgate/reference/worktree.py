"""Checks out a git revision in a temporary folder, which is removed when the run ends, even if the run is killed."""

import subprocess
import sys
import tempfile
from pathlib import Path

from perfgate.shared.errors import UserError
from perfgate.system.git import git

GONE_S = 60

# This script runs beside the run. It waits until its standard input is closed, which happens when the run ends or dies,
# and then removes the worktree.
KEEPER = """
import shutil, subprocess, sys
repository, parent, folder = sys.argv[1:]
sys.stdin.buffer.read()
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": False}
subprocess.run(["git", "-C", repository, "worktree", "remove", "--force", folder], **quiet)
shutil.rmtree(parent, ignore_errors=True)
subprocess.run(["git", "-C", repository, "worktree", "prune"], **quiet)
"""


class Worktree:
    """A revision in a temporary folder, until ``close`` or the end of this process.

    Args:
        repository: any folder of the repository.
        commit: the full hash of the commit.

    Attributes:
        folder: the folder of the checkout that corresponds to ``repository``.

    Raises:
        UserError: git cannot check the revision out.
    """

    def __init__(self, repository: Path, commit: str) -> None:
        top = Path(git(repository, "rev-parse", "--show-toplevel"))
        parent = Path(tempfile.mkdtemp(prefix="perfgate-worktree-"))
        tree = parent / commit[:12]
        command = [sys.executable, "-c", KEEPER, str(top), str(parent), str(tree)]
        # It has a session of its own, so that Ctrl-C, which ends the run, does not end it before it has cleaned up.
        self._keeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        try:
            git(top, "worktree", "add", "--detach", str(tree), commit)
        except UserError:
            self.close()
            raise
        self.folder = tree / repository.resolve().relative_to(top.resolve())
        if not self.folder.resolve().is_relative_to(tree.resolve()):
            self.close()
            raise UserError(f"{repository}: is a link out of the repository at {commit[:12]}, so its code is not run")

    def close(self) -> None:
        """Remove the checkout."""
        if self._keeper.stdin and not self._keeper.stdin.closed:
            self._keeper.stdin.close()
            self._keeper.wait(GONE_S)
