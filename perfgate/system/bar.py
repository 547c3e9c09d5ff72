"""What a branch changed of what it is held against: baselines, tolerances, and cases that it skips or removes."""

import re
from collections.abc import Sequence
from pathlib import Path

from perfgate.shared.errors import UserError
from perfgate.system.git import commit_of, git

CODE = ("*.py", "*.toml", "*.ini", "*.cfg")
# Where a branch began, if nobody says what it is held against.
DEFAULT_BRANCHES = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
TOLERANCE = "tolerance"
SKIP = re.compile(r"^\+.*(?:pytest\.skip|mark\.skip|mark\.xfail|pytest\.xfail|importorskip)")
TEST = re.compile(r"^([+-])\s*(?:async\s+)?def\s+(test_\w+)")
# A test that takes one of these is a case of this suite, and no test of something else.
FIXTURES = re.compile(r"(?:^[ +-]|[(,])\s*(?:perf|perfgate_perf|effect)\s*[,)]|mark\.perf\b")


def moved_bar(folder: Path, commit: str, baselines: str) -> list[str]:
    """Files that were changed since a branch left a commit and that move the bar.

    They hold baselines, a line with a tolerance, a case that is skipped now, or a case that is gone.

    Args:
        folder: any folder of the repository.
        commit: that the branch is held against.
        baselines: the folder of the baselines, relative to ``folder``.
    """
    try:
        since = git(folder, "merge-base", commit, "HEAD")
    except UserError:  # nothing in common, as in a shallow clone
        since = commit
    changed = ("diff", "--no-ext-diff", "--name-only", "--relative")
    found = git(folder, *changed, since, "--", baselines).splitlines()
    looked = git(folder, *changed, "--no-renames", "-G", f"{TOLERANCE}|skip|xfail|def +test_", since, "--", *CODE)
    for name in looked.splitlines():
        if moves(git(folder, "diff", "--no-ext-diff", "-W", since, "--", name)):
            found.append(name)
    return list(dict.fromkeys(found))


def moves(patch: str) -> bool:
    """Whether a patch changes a line with a tolerance, or skips or removes a case."""
    lines = patch.splitlines()
    return any(line[:1] in "+-" and TOLERANCE in line for line in lines if line) or fewer_cases(lines)


def fewer_cases(lines: Sequence[str]) -> bool:
    """Whether a patch's lines, best with the functions around each change, skip or remove a case of a suite."""
    if not any(FIXTURES.search(line) for line in lines):
        return False
    tests = [match.groups() for line in lines if (match := TEST.match(line))]
    gone = {name for sign, name in tests if sign == "-"} - {name for sign, name in tests if sign == "+"}
    return bool(gone) or any(SKIP.match(line) for line in lines)


def default_branch(folder: Path) -> str | None:
    """The commit of the branch that others begin from; ``None`` where none is known, or HEAD is that commit."""
    found = next((commit for name in DEFAULT_BRANCHES if (commit := commit_of(folder, name))), None)
    return None if found == commit_of(folder, "HEAD") else found
