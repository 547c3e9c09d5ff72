"""Courses: the steps between a good and a bad end, which are commits of a repository or versions of a package."""

import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from packaging.version import InvalidVersion, Version

from perfgate.reference.environment import Progress, Recipe, built
from perfgate.reference.reference import PACKAGE
from perfgate.shared.errors import UserError
from perfgate.system.git import between, commit_of, git

COMMAND = "perfgate bisect"
INDEX_TIMEOUT_S = 120


class Course(Protocol):
    """The steps from a good end to a bad one.

    Attributes:
        noun: what a step is.
        good: the first step, which is known to be good.
        bad: the last step.
    """

    noun: str
    good: str
    bad: str

    def halving(self, goods: Sequence[str], bad: str) -> list[str]:
        """The steps that may be the first bad one, those first that halve them best; the bad one is among them.

        Args:
            goods: steps that are good.
            bad: the first step that is known to be bad.
        """

    def same(self, one: str, other: str) -> bool:
        """Whether two steps have the same code, so that nothing has to be run."""

    def side(self, step: str) -> str:
        """What ``--perf-ref`` and ``--perf-candidate`` take for a step; built if it has to be."""

    def short(self, step: str) -> str:
        """A step in a word."""

    def about(self, step: str) -> str:
        """What a step is, in a line; may be empty."""


@dataclass(frozen=True)
class Commits:
    """The commits between two revisions.

    Attributes:
        root: the folder of the suite.
        without: folders in which differences are none of the code.
        first_parent: follow the first parent of a merge alone, so that what a branch brought is one step.
    """

    root: Path
    good: str
    bad: str
    without: tuple[Path, ...] = ()
    first_parent: bool = True
    noun: str = "commit"

    def halving(self, goods: Sequence[str], bad: str) -> list[str]:
        """As git bisects."""
        along = ["--first-parent"] if self.first_parent else []
        return [
            line.split()[0]
            for line in git(self.root, "rev-list", "--bisect-all", *along, bad, "--not", *goods).splitlines()
        ]

    def same(self, one: str, other: str) -> bool:
        """Whether no file differs that could count."""
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
        UserError: one is no commit, or the good one does not come before the bad one.
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
    """The released versions of a package between two.

    Attributes:
        root: the folder in which pip runs.
        package: its name, as pip takes it.
        released: the versions from the good one to the bad one, in order.
        progress: told what is built.
    """

    root: Path
    package: str
    released: tuple[str, ...]
    progress: Progress
    noun: str = "version"

    @property
    def good(self) -> str:
        """The first one."""
        return self.released[0]

    @property
    def bad(self) -> str:
        """The last one."""
        return self.released[-1]

    def halving(self, goods: Sequence[str], bad: str) -> list[str]:
        """The versions after the last good one, those in the middle first."""
        last = max(map(self.released.index, goods))
        left = self.released[last + 1 : self.released.index(bad) + 1]
        middle = (len(left) - 2) / 2
        return sorted(left, key=lambda one: (abs(left.index(one) - middle), left.index(one)))

    def same(self, one: str, other: str) -> bool:
        """Whether it is one version."""
        return one == other

    def side(self, step: str) -> str:
        """The interpreter of an environment with that version over this one."""
        recipe = Recipe(self.root, [[f"{self.package}=={step}"]], python=sys.executable, over=True)
        return built(recipe, COMMAND, self.progress)

    def short(self, step: str) -> str:
        """Package and version."""
        return f"{self.package} {step}"

    def about(self, step: str) -> str:
        """Nothing more is known of it."""
        return ""


def versions(root: Path, package: str, good: str, bad: str, progress: Progress) -> Versions:
    """The released versions of a package between two, as its index lists them; pre-releases are left out.

    Raises:
        UserError: the index does not answer, or does not know one of them; or they are in the wrong order.
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
    """The released versions of a package that this Python can have, the oldest first.

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
    """Whether it is a version that can be ordered."""
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True
