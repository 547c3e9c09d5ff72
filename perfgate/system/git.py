"""Asks git: commits, changed files, archives."""

import re
import subprocess
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from perfgate.shared.errors import UserError

TIMEOUT_S = 300
CACHE = "__pycache__"


def git_state(folder: Path) -> tuple[str, bool]:
    """The commit of a folder, empty outside of a repository, and whether a tracked file differs from it."""

    def ask(*arguments: str) -> str:
        words = ["git", "-C", str(folder), *arguments]
        return subprocess.run(words, capture_output=True, text=True, errors="replace", check=False).stdout.strip()

    try:
        commit = ask("rev-parse", "--verify", "--quiet", "HEAD")  # empty if nothing was committed yet
        return commit, bool(ask("status", "--porcelain", "--untracked-files=no"))
    except FileNotFoundError:
        return "", False


def user_of(folder: Path) -> str:
    """The name under which a user commits in a folder; empty if git knows none."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.is_dir())
    try:
        return git(there, "config", "user.name")
    except UserError:
        return ""


def git(folder: Path, *arguments: str) -> str:
    """Run a git command, and return its output.

    Raises:
        UserError: git is not installed, takes too long, or fails.
    """
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=TIMEOUT_S)
    except FileNotFoundError:
        raise UserError(
            "git is not installed, and --perf-ref REV needs it: install git, or name an interpreter"
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(f"git {arguments[0]} took longer than {TIMEOUT_S} s in {folder}") from None
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        raise UserError(f"git {' '.join(arguments)} failed in {folder}: {said[-1]}")
    return done.stdout.strip()


def commit_of(folder: Path, name: str) -> str | None:
    """The commit that a revision names; ``None`` if it names no commit, or the folder is not in a repository."""
    try:
        return git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    except UserError:
        return None


def differing(folder: Path, commit: str, without: Collection[Path] = ()) -> list[str]:
    """Files of the repository that differ from a commit, including files that git does not track yet.

    Args:
        folder: any folder of the repository.
        commit: the commit to compare with.
        without: folders whose files are left out.
    """
    top = Path(git(folder, "rev-parse", "--show-toplevel")).resolve()
    changed = git(top, "diff", "--name-only", commit).splitlines()
    changed += git(top, "ls-files", "--others", "--exclude-standard").splitlines()
    return outside(top, changed, without)


def between(folder: Path, before: str, after: str, without: Collection[Path] = ()) -> list[str]:
    """Files of the repository that differ between two commits; ``without`` as in ``differing``."""
    top = Path(git(folder, "rev-parse", "--show-toplevel")).resolve()
    return outside(top, git(top, "diff", "--name-only", before, after).splitlines(), without)


def check_unmoved(folder: Path, commit: str) -> None:
    """Refuse measurements of another checked-out commit, unless the files of both commits are equal.

    Raises:
        UserError: naming both commits.
    """
    now = git_state(folder)[0]
    if commit and now != commit and between(folder, commit, now):
        raise UserError(
            f"{now[:12]} was checked out while this run measured {commit[:12]}, so its numbers may be of either and "
            "nothing was stored; run again, and leave the checkout alone meanwhile, or use git worktree"
        )


def outside(top: Path, names: Collection[str], without: Collection[Path]) -> list[str]:
    """The paths that lie outside of some folders."""
    paths = [top / name for name in names if CACHE not in Path(name).parts]
    return [str(path) for path in paths if not any(path.is_relative_to(place.resolve()) for place in without)]


@dataclass(frozen=True)
class Trailer:
    """A line ``KEY: value`` of a commit's message.

    Attributes:
        commit: full hash.
        value: without the key, on one line.
        last: whether it stands in the last paragraph, so that git takes it for a trailer.
    """

    commit: str
    value: str
    last: bool = True


def trailers(folder: Path, key: str, since: str) -> list[Trailer]:
    """The trailers with a key in the commits from a revision to HEAD, newest first.

    Without a revision all commits of HEAD count.

    Lines that look like one and stand elsewhere in a message are returned as well.

    Raises:
        UserError: git fails.
    """
    # A message may hold every character but NUL, which git puts between the parts of each commit.
    form = f"%H%x00%(trailers:key={key},valueonly,unfold,separator=%x03)%x00%B"
    parts = git(folder, "log", "-z", f"--format={form}", f"{since}..HEAD" if since else "HEAD").split("\0")
    found = []
    for commit, values, message in zip(parts[::3], parts[1::3], parts[2::3], strict=False):
        written = [value.strip() for value in values.split("\3") if value.strip()]
        found += [Trailer(commit, value) for value in written]
        lines = re.findall(rf"^{re.escape(key)}:(.*)$", message, re.MULTILINE | re.IGNORECASE)
        # The first line of a folded trailer is only its beginning.
        stray = [line.strip() for line in lines if not any(value.startswith(line.strip()) for value in written)]
        found += [Trailer(commit, line, last=False) for line in stray]
    return found


def archive(folder: Path, revision: str, path: str) -> bytes:
    """A path of the repository at a revision, as a tar archive.

    Raises:
        FileNotFoundError: git is not installed.
        UserError: the revision does not exist, or has no such path; the message is git's.
    """
    command = ["git", "-C", str(folder), "archive", "--format=tar", revision, path]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(said[-1] if said else "no reason given")
    return done.stdout


def blob(folder: Path, revision: str, path: str) -> str:
    """The content of a file at a revision; empty if the file did not exist.

    Args:
        folder: any folder of the repository.
        revision: the revision to read from.
        path: the file, relative to the top of the repository.
    """
    try:
        return git(folder, "cat-file", "blob", f"{revision}:{path}")
    except UserError:
        return ""


def boundary(folder: Path) -> set[str]:
    """The commits at which a shallow clone ends, whose changes are unknown; empty in a full clone."""
    path = folder / git(folder, "rev-parse", "--git-path", "shallow")
    return set(path.read_text().split()) if path.exists() else set()


def last_commit(folder: Path, revision: str, path: str, pattern: str) -> tuple[str, list[str]] | None:
    """The newest commit up to a revision that added or removed a line in a file, and its parents.

    Args:
        folder: the top of the repository.
        revision: the newest one to look at.
        path: the file, relative to the top.
        pattern: extended regular expression that the line matches.
    """
    found = git(folder, "log", "-1", "-m", "--format=%H %P", "--no-patch", f"-G{pattern}", revision, "--", path)
    if not found:
        return None
    commit, *parents = found.splitlines()[0].split()
    return commit, parents
