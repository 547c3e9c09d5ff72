"""A suite under git: commits, worktrees, and changes to the program under test."""

import subprocess
from pathlib import Path

IGNORED = "perf_output/\n__pycache__/\n.pytest_cache/\nstdout\nstderr\nrunpytest-*\n"
SLOW = "total += number; total -= 1; total += 1"


def git(folder: Path, *arguments: str) -> str:
    """Run git with a made-up user."""
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def begin(folder: Path) -> None:
    """Make a folder a repository, with all its files in one commit."""
    (folder / ".gitignore").write_text(IGNORED)
    git(folder, "init", "-q")
    commit(folder)


def commit(folder: Path, message: str = "a step") -> str:
    """Commit everything; returns the commit."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def change(folder: Path, old: str = "total += number", new: str = SLOW, name: str = "programs.py") -> None:
    """Change the program under test."""
    path = folder / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def worktrees(folder: Path) -> list[str]:
    """The folders that git knows as checkouts of the repository."""
    lines = git(folder, "worktree", "list", "--porcelain").splitlines()
    return [line for line in lines if line.startswith("worktree ")]
