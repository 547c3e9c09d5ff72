"""Questions to git: commits, changed files, archives."""

import subprocess
from collections.abc import Collection
from pathlib import Path

from perfgate.shared.errors import UserError

TIMEOUT_S = 300
CACHE = "__pycache__"


def git_state(folder: Path) -> tuple[str, bool]:
    """The commit of a folder, and whether a tracked file differs from it; an empty commit outside of a repository."""

    def ask(*arguments: str) -> str:
        words = ["git", "-C", str(folder), *arguments]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()

    try:
        return ask("rev-parse", "HEAD"), bool(ask("status", "--porcelain", "--untracked-files=no"))
    except FileNotFoundError:
        return "", False


def git(folder: Path, *arguments: str) -> str:
    """Run a git command, and return its output.

    Raises:
        UserError: git is not installed, takes too long, or fails.
    """
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
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
    """Files of the repository that differ between two commits; ``without`` as above."""
    top = Path(git(folder, "rev-parse", "--show-toplevel")).resolve()
    return outside(top, git(top, "diff", "--name-only", before, after).splitlines(), without)


def outside(top: Path, names: Collection[str], without: Collection[Path]) -> list[str]:
    """The paths of files, those in some folders left out."""
    paths = [top / name for name in names if CACHE not in Path(name).parts]
    return [str(path) for path in paths if not any(path.is_relative_to(place.resolve()) for place in without)]


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
    """What a file of the repository held at a revision; nothing where it was not there.

    Args:
        folder: any folder of the repository.
        revision: of the file.
        path: from the top of the repository.
    """
    try:
        return git(folder, "cat-file", "blob", f"{revision}:{path}")
    except UserError:
        return ""


def boundary(folder: Path) -> set[str]:
    """The commits at which a shallow clone ends: what they changed is not known; none in a whole clone."""
    path = folder / git(folder, "rev-parse", "--git-path", "shallow")
    return set(path.read_text().split()) if path.exists() else set()


def last_commit(folder: Path, revision: str, path: str, pattern: str) -> tuple[str, list[str]] | None:
    """The newest commit up to a revision that added or removed a line in a file, and its parents.

    Args:
        folder: the top of the repository.
        revision: the newest one to look at.
        path: of the file, from the top.
        pattern: extended regular expression that the line matches.
    """
    found = git(folder, "log", "-1", "-m", "--format=%H %P", "--no-patch", f"-G{pattern}", revision, "--", path)
    if not found:
        return None
    commit, *parents = found.splitlines()[0].split()
    return commit, parents
