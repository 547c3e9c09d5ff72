"""Compares lock files of two checkouts with each other, and a lock file with the installed libraries."""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet

from perfgate.shared.errors import UserError
from perfgate.system.provenance import normalized

LOCKS = ("requirements.txt", "requirements.lock", "pylock.toml", "uv.lock", "poetry.lock", "constraints.txt")
INCLUDES = ("-r ", "--requirement ", "-c ", "--constraint ")
ELSEWHERE = ("editable", "virtual", "directory", "path")  # sources of packages that do not come from a package index


@dataclass(frozen=True)
class Pin:
    """A library that a file pins.

    Attributes:
        name: the normalized name of the library.
        allowed: the versions that the file accepts.
        file: the file, as the ini value ``perf_lock`` names it.
    """

    name: str
    allowed: SpecifierSet
    file: str


def moved_locks(there: Path, here: Path, locks: Sequence[str]) -> list[str]:
    """The lock files that differ between two checkouts."""
    return [name for name in locks if content(there / name) != content(here / name)]


def content(path: Path) -> bytes:
    """The contents of a file; empty if there is no such file."""
    return path.read_bytes() if path.is_file() else b""


def disagreements(root: Path, locks: Sequence[str], installed: Callable[[str], str | None]) -> list[str]:
    """One clause for each installed library whose version is not the one that the files name.

    Libraries that are not installed do not count.

    Args:
        root: the folder with the files.
        locks: the names of the files; files that do not exist name no library.
        installed: returns the version of a package by its normalized name, or ``None`` if it is not installed.

    Raises:
        UserError: a file cannot be read.
    """
    named: dict[tuple[str, str], list[SpecifierSet]] = {}
    for name in locks:
        for pin in pins_of(root / name, name):
            named.setdefault((pin.file, pin.name), []).append(pin.allowed)
    found = []
    for (file, name), accepted in named.items():
        version = (installed(name) or "").partition("@")[0]
        # A lock file can name a library several times, with the versions for different platforms.
        if version and not any(allowed.contains(version, prereleases=True) for allowed in accepted):
            text = " or ".join(str(allowed) for allowed in accepted)
            found.append(f"{file} names {name}{text}, and {version} is installed")
    return found


def pins_of(path: Path, name: str, above: Sequence[Path] = ()) -> Iterator[Pin]:
    """The libraries that a file pins; none if the file does not exist.

    Args:
        path: the file.
        name: its name in the ini value ``perf_lock``.
        above: the files that include it, so that a file that includes itself is read once.

    Raises:
        UserError: the file does not have the format that its name says.
    """
    if not path.is_file() or path.resolve() in above:
        return
    try:
        text = path.read_text(encoding="utf-8")
        if path.name.endswith((".toml", ".lock")) and not path.name.startswith("requirements"):
            yield from locked(tomllib.loads(text), name)
        else:
            yield from required(path, text, name, above)
    except (OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError) as error:
        raise UserError(f"{path}: this file pins libraries (perf_lock) and cannot be read: {error}") from None


def locked(document: Mapping[str, Any], name: str) -> Iterator[Pin]:
    """The packages in a lock file of uv, of Poetry, or of PEP 751."""
    for package in [*document.get("package", ()), *document.get("packages", ())]:
        source = package.get("source") or {}
        if "version" in package and not any(kind in source or kind in package for kind in ELSEWHERE):
            yield Pin(normalized(package["name"]), SpecifierSet(f"=={package['version']}"), name)


def required(path: Path, text: str, name: str, above: Sequence[Path]) -> Iterator[Pin]:
    """The requirements in a requirements file of pip, including those of files that it includes."""
    for line in text.replace("\\\n", " ").splitlines():
        line = line.partition(" #")[0].partition(" --hash")[0].strip()
        if line.startswith(INCLUDES):
            yield from pins_of(path.parent / line.partition(" ")[2].strip(), name, (*above, path.resolve()))
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # an option, a comment, a folder
            continue
        if requirement.specifier and (requirement.marker is None or requirement.marker.evaluate()):
            yield Pin(normalized(requirement.name), requirement.specifier, name)
