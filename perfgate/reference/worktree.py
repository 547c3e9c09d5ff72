"""A git revision as a folder of its own, which is gone when the run is, however it ended."""

import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

from perfgate.shared.errors import UserError

TIMEOUT_S = 300
GONE_S = 60
CACHE = "__pycache__"

# Waits for the end of its standard input, which comes when the run closes it or dies, then removes the worktree.
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
    """Checked out in a temporary folder until ``close``; a run that is killed takes it along.

    Args:
        repository: any folder of the repository.
        commit: full hash.

    Attributes:
        folder: where the files lie that correspond to ``repository``.

    Raises:
        UserError: git cannot check the revision out.
    """

    def __init__(self, repository: Path, commit: str) -> None:
        top = Path(git(repository, "rev-parse", "--show-toplevel"))
        parent = Path(tempfile.mkdtemp(prefix="perfgate-worktree-"))
        tree = parent / commit[:12]
        command = [sys.executable, "-c", KEEPER, str(top), str(parent), str(tree)]
        # In a session of its own, so that what is typed to end the run does not end it before it has cleaned up.
        self._keeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        try:
            git(top, "worktree", "add", "--detach", str(tree), commit)
        except UserError:
            self.close()
            raise
        self.folder = tree / repository.resolve().relative_to(top.resolve())

    def close(self) -> None:
        """Remove it."""
        if self._keeper.stdin and not self._keeper.stdin.closed:
            self._keeper.stdin.close()
            self._keeper.wait(GONE_S)


def git(folder: Path, *arguments: str) -> str:
    """What a git command prints.

    Raises:
        UserError: git is missing, takes too long, or refuses.
    """
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
    except FileNotFoundError:
        raise UserError("--perf-ref REV needs git, which is not installed") from None
    except subprocess.TimeoutExpired:
        raise UserError(f"git {arguments[0]} took longer than {TIMEOUT_S} s in {folder}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise UserError(f"git {' '.join(arguments)} failed in {folder}: {said[-1]}")
    return done.stdout.strip()


def commit_of(folder: Path, name: str) -> str | None:
    """The commit that a revision names; ``None`` where it names none, or this is no repository."""
    try:
        return git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except UserError:
        return None


def differing(folder: Path, commit: str, without: Collection[Path] = ()) -> list[str]:
    """Files of the repository that differ from a commit, those that git does not know yet among them.

    Args:
        folder: any folder of the repository.
        commit: to hold the files against.
        without: folders that do not count.
    """
    top = Path(git(folder, "rev-parse", "--show-toplevel")).resolve()
    changed = git(top, "diff", "--name-only", commit).splitlines()
    changed += git(top, "ls-files", "--others", "--exclude-standard").splitlines()
    paths = [top / name for name in changed if CACHE not in Path(name).parts]
    return [str(path) for path in paths if not any(path.is_relative_to(place.resolve()) for place in without)]
