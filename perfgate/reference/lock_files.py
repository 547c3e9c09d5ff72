"""The files that pin libraries: whether they moved, and whether what is installed is what they name."""

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
ELSEWHERE = ("editable", "virtual", "directory", "path")  # sources of a package that no index has


@dataclass(frozen=True)
class Pin:
    """One library that a file pins.

    Attributes:
        name: normalized.
        allowed: versions that the file accepts.
        file: as the ini value ``perf_lock`` names it.
    """

    name: str
    allowed: SpecifierSet
    file: str


def moved_locks(there: Path, here: Path, locks: Sequence[str]) -> list[str]:
    """The files that pin libraries and are not the same on both sides."""
    return [name for name in locks if content(there / name) != content(here / name)]


def content(path: Path) -> bytes:
    """What a file holds; nothing where there is none."""
    return path.read_bytes() if path.is_file() else b""


def disagreements(root: Path, locks: Sequence[str], installed: Callable[[str], str | None]) -> list[str]:
    """Where an environment is not the one that the files name, a clause each; a library that is absent is no matter.

    Args:
        root: the folder in which the files lie.
        locks: their names; those that are not there name nothing.
        installed: gives a package's version by its normalized name; nothing where it is absent.

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
        # A lock file names a library once for each platform on which its version is another.
        if version and not any(allowed.contains(version, prereleases=True) for allowed in accepted):
            text = " or ".join(str(allowed) for allowed in accepted)
            found.append(f"{file} names {name}{text}, and {version} is installed")
    return found


def pins_of(path: Path, name: str) -> Iterator[Pin]:
    """The libraries that one file pins; none where it is not there.

    Raises:
        UserError: it is not what its name says.
    """
    if not path.is_file():
        return
    try:
        text = path.read_text(encoding="utf-8")
        if path.name.endswith((".toml", ".lock")) and not path.name.startswith("requirements"):
            yield from locked(tomllib.loads(text), name)
        else:
            yield from required(path, text, name)
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: this file pins libraries (perf_lock) and cannot be read: {error}") from None


def locked(document: Mapping[str, Any], name: str) -> Iterator[Pin]:
    """The packages of a lock file of uv, Poetry, or of PEP 751."""
    for package in [*document.get("package", ()), *document.get("packages", ())]:
        source = package.get("source") or {}
        if "version" in package and not any(kind in source or kind in package for kind in ELSEWHERE):
            yield Pin(normalized(package["name"]), SpecifierSet(f"=={package['version']}"), name)


def required(path: Path, text: str, name: str) -> Iterator[Pin]:
    """The requirements of a file of pip's, those of files that it includes among them."""
    for line in text.replace("\\\n", " ").splitlines():
        line = line.partition(" #")[0].partition(" --hash")[0].strip()
        if line.startswith(INCLUDES):
            yield from pins_of(path.parent / line.partition(" ")[2].strip(), name)
            continue
        try:
            requirement = Requirement(line)
        except InvalidRequirement:  # an option, a comment, a folder
            continue
        if requirement.specifier and (requirement.marker is None or requirement.marker.evaluate()):
            yield Pin(normalized(requirement.name), requirement.specifier, name)
