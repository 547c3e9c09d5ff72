"""The two environments of an upgrade: one as it is, one with other versions of some packages."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from perfgate.reference.build_step import Progress
from perfgate.reference.environment import Recipe, built
from perfgate.reference.interpreter import find_interpreter, packages_of
from perfgate.reference.reference import differences
from perfgate.shared.errors import UserError
from perfgate.system.provenance import normalized

COMMAND = "perfgate upgrade"
READABLE = (".txt", ".in")  # pylock.toml as well, if pip is new enough


@dataclass(frozen=True)
class UpgradeSides:
    """Both interpreters, and what differs between them.

    Attributes:
        before: path of the interpreter before the upgrade.
        now: path of the interpreter after the upgrade.
        software: every package of each side, with its version.
        moved: packages whose versions differ, by name: before and now, empty if a side lacks it.
        asked: normalized names of the packages that were asked for.
    """

    before: str
    now: str
    software: tuple[Mapping[str, str], Mapping[str, str]]
    moved: Mapping[str, tuple[str, str]]
    asked: tuple[str, ...]


def check_packages(packages: Sequence[str]) -> None:
    """Refuse packages without a version.

    Raises:
        UserError: naming the first one.
    """
    for package in packages:
        try:
            found = Requirement(package)
        except InvalidRequirement:
            found = None
        if found is None or not (found.specifier or found.url):
            raise UserError(
                f"{COMMAND}: name each package with its version, like transformers==5.23.0, not {package!r}"
            )


def upgrade_sides(packages: Sequence[str], start: str, root: Path, progress: Progress) -> UpgradeSides:
    """Build the missing environments, and list the packages that moved.

    Args:
        packages: requirements with versions.
        start: the state before the upgrade: a file that pip reads, another interpreter or the folder of its
            environment, or empty for the packages that are installed here.
        root: the folder that a file is relative to.
        progress: called with a few words when something is built.

    Raises:
        UserError: ``start`` is none of these, an environment cannot be built, or nothing moves.
    """
    if start and (root / start).is_file() and not find_interpreter(start):
        before, now = from_file(packages, start, root, progress)
    else:
        found = find_interpreter(start) if start else sys.executable
        if found is None:
            raise UserError(f"{COMMAND}: --from is {start!r}; it must be a file that pins libraries, or an interpreter")
        before = found
        now = built(Recipe(root, [packages], python=before, over=True), COMMAND, progress)
    software = packages_of(before, COMMAND), packages_of(now, COMMAND)
    moved = differences(*software)
    asked = tuple(normalized(Requirement(package).name) for package in packages)
    if not any(name in moved for name in asked):
        there = ", ".join(f"{name} {software[0].get(name, '(absent)')}" for name in asked)
        raise UserError(f"{COMMAND}: nothing moves, as there is {there} already; name another version, or --from")
    return UpgradeSides(before, now, software, moved, asked)


def from_file(packages: Sequence[str], name: str, root: Path, progress: Progress) -> tuple[str, str]:
    """Build both environments from a file that pins libraries.

    Raises:
        UserError: pip cannot read the file, or an environment does not build.
    """
    if not (name.endswith(READABLE) or Path(name).name in ("pylock.toml", "requirements.lock")):
        raise UserError(
            f"{COMMAND}: pip cannot install from {name}; write its pins to a requirements file, for uv by: "
            "uv export --no-hashes --output-file requirements.txt"
        )
    base = ["-r", name]
    before = built(Recipe(root, [base], [name]), COMMAND, progress)
    return before, built(Recipe(root, [base, packages], [name]), COMMAND, progress)
