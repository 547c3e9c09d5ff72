"""Courses: the steps between a good and a bad end: commits of a repository, or versions of a package."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packaging.version import InvalidVersion, Version

from perfgate.reference.build_step import Progress
from perfgate.reference.environment import Recipe, built
from perfgate.reference.reference import PACKAGE
from perfgate.shared.errors import UserError
from perfgate.system.git import between, commit_of, git

COMMAND = "perfgate bisect"
INDEX_TIMEOUT_S = 120


class Course(Protocol):
    """The steps from a good end to a bad one.

    Attributes:
        noun: the word for a step: commit or version.
        good: the first step, which is known to be good.
        bad: the last step.
    """

    noun: str
    good: str
    bad: str

    def halving(self, goods: Sequence[str], bad: str) -> list[str]:
        """The possible first bad steps, including the bad one; those that halve the rest best come first.

        Args:
            goods: the steps that are known to be good.
            bad: the first step that is known to be bad.
        """

    def same(self, one: str, other: str) -> bool:
        """Whether two steps have the same code, so that neither must be run."""

    def side(self, step: str) -> str:
        """The value of ``--perf-ref`` and ``--perf-candidate`` for a step; it is built if necessary."""

    def short(self, step: str) -> str:
        """A step in one word."""

    def about(self, step: str) -> str:
        """A description of a step on one line; may be empty."""


@dataclass(frozen=True)
class Commits:
    """The commits between two revisions.

    Attributes:
        root: the folder of the suite.
        without: folders whose differences do not count as the code's.
        first_parent: whether to follow only the first parent of a merge, so that a merged branch is one step.
    """

    root: Path
    good: str
    bad: str
    without: tuple[Path, ...] = ()
    first_parent: bool = True
    noun: str = "commit"

    def halving(self, goods: Sequence[str], bad: str) -> list[str]:
        """The order in which git bisects."""
        along = ["--first-parent"] if self.first_parent else []
        return [
            line.split()[0]
            for line in git(self.root, "rev-list", "--bisect-all", *along, bad, "--not", *goods).splitlines()
        ]

    def same(self, one: str, other: str) -> bool:
        """Whether no relevant file differs."""
        return not between(self.root, one, other, (PACKAGE, *self.without))

    def side(self, step: str) -> str:
        """The commit itself."""
        return step

    def short(self, step: str) -> str:
        """The beginning of the hash."""
        return step[:12]

    def about(self, step: str) -> str:
        """Date, author and subject."""
        return git(self.root, "show", "--no-patch", "--format=%as, %an: %s", step)


def commits(root: Path, good: str, bad: str, without: Sequence[Path], first_parent: bool) -> Commits:
    """The commits between two revisions.

    Raises:
        UserError: a revision is no commit, or the good one does not come before the bad one.
    """
    found = {}
    for option, name in (("--good", good), ("--bad", bad)):
        commit = commit_of(root, name)
        if commit is None:
            raise UserError(
                f"{COMMAND}: {option} is {name!r}, which is no revision of the repository in {root} (is it fetched?)"
            )
        found[option] = commit
    course = Commits(root, found["--good"], found["--bad"], tuple(without), first_parent)
    if not course.halving([course.good], course.bad):
        raise UserError(f"{COMMAND}: no commit lies between --good {good} and --bad {bad}; are they swapped?")
    if git(root, "merge-base", course.good, course.bad) != course.good:
        raise UserError(f"{COMMAND}: --good {good} is not among the ancestors of --bad {bad}; name their merge base")
    return course


@dataclass(frozen=True)
class Versions:
    """The released versions of a package between two versions.

    Attributes:
        root: the folder in which pip runs.
        package: the package's name for pip.
        released: the versions from the good one to the bad one, in order.
        progress: called with a few words when something is built.
    """

    root: Path
    package: str
    released: tuple[str, ...]
    progress: Progress
    noun: str = "version"

    @property
    def good(self) -> str:
        """The first version."""
        return self.released[0]

    @property
    def bad(self) -> str:
        """The last version."""
        return self.released[-1]

    def halving(self, goods: Sequence[str], bad: str) -> list[str]:
        """The versions after the last good one, the middle ones first."""
        last = max(map(self.released.index, goods))
        left = self.released[last + 1 : self.released.index(bad) + 1]
        middle = (len(left) - 2) / 2
        return sorted(left, key=lambda one: (abs(left.index(one) - middle), left.index(one)))

    def same(self, one: str, other: str) -> bool:
        """Whether both are the same version."""
        return one == other

    def side(self, step: str) -> str:
        """The interpreter of an environment with that version over this one."""
        recipe = Recipe(self.root, [[f"{self.package}=={step}"]], python=sys.executable, over=True)
        return built(recipe, COMMAND, self.progress)

    def short(self, step: str) -> str:
        """The package and its version."""
        return f"{self.package} {step}"

    def about(self, step: str) -> str:
        """Nothing: no more is known about a version."""
        return ""


def versions(root: Path, package: str, good: str, bad: str, progress: Progress) -> Versions:
    """The released versions of a package between two versions, as its index lists them, without pre-releases.

    Raises:
        UserError: the index does not answer or does not know a version, or the versions are in the wrong order.
    """
    known = released(root, package)
    for option, name in (("--good", good), ("--bad", bad)):
        if name not in known:
            raise UserError(
                f"{COMMAND}: {option} is {name!r}, which is no released version of {package} for this Python; "
                f"the newest are {', '.join(known[-5:])}"
            )
    found = known[known.index(good) : known.index(bad) + 1]
    if len(found) < 2:
        raise UserError(f"{COMMAND}: --bad {bad} must be a newer version of {package} than --good {good}")
    return Versions(root, package, tuple(found), progress)


def released(root: Path, package: str) -> list[str]:
    """The released versions of a package for this Python, oldest first.

    Raises:
        UserError: pip does not know the package.
    """
    command = [sys.executable, "-m", "pip", "index", "versions", package, "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            command, cwd=root, capture_output=True, text=True, errors="replace", check=False, timeout=INDEX_TIMEOUT_S
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{COMMAND}: pip index versions {package} took longer than {INDEX_TIMEOUT_S} s") from None
    listed = re.search(r"^Available versions: (.+)$", done.stdout, re.MULTILINE)
    if not listed:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["it names no version"]
        raise UserError(f"{COMMAND}: pip index versions {package}: {said[-1].removeprefix('ERROR: ')}")
    return sorted((text for text in listed[1].split(", ") if is_version(text)), key=Version)


def is_version(text: str) -> bool:
    """Whether a text is a version that can be ordered."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
