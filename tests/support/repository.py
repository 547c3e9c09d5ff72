"""A suite of a stranger's under git."""

import subprocess
from pathlib import Path

IGNORED = "__pycache__/\n.pytest_cache/\nstdout\nstderr\nrunpytest-*\n"


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody; returns what it says."""
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    done = subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def begin(folder: Path) -> None:
    """Make a repository of a folder, with one commit."""
    (folder / ".gitignore").write_text(IGNORED)
    git(folder, "init", "-q")
    commit(folder)


def commit(folder: Path, message: str = "a step") -> None:
    """Commit everything."""
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", message)
