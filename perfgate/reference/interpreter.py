"""Finds a Python interpreter for actors, and the folders in which it finds code."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from perfgate.shared.errors import UserError
from perfgate.system.provenance import installed_in


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """The interpreter of one side's actors.

    Attributes:
        python: the path of the interpreter.
        path: folders with the code under test, which come before all installed packages.
        after: folders with programs of the user's own. They come after all installed packages, because the packages of
            the environment are what is measured.
        software: the versions of the interpreter's libraries, by name.
        commit: the commit whose code it runs; empty for the working tree and for installed packages.
    """

    python: str = sys.executable
    path: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    software: Mapping[str, str] = field(default_factory=dict)
    commit: str = ""

    @property
    def is_this(self) -> bool:
        """Whether it is this process's interpreter, with this process's code."""
        return self.python == sys.executable and not self.path

    def to_json(self) -> dict[str, Any]:
        """The object for the run file and for xdist's workers."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(**{**found, "path": tuple(found["path"]), "after": tuple(found["after"])})


def find_interpreter(name: str) -> str | None:
    """The path of an interpreter; ``None`` if there is no such interpreter.

    Args:
        name: a path, the folder of an environment, or a command that the shell would find.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        path = path / "bin" / "python"
    elif path.name == name:
        return shutil.which(name)
    # Not resolved: an environment's link to its interpreter must stay a link. As text: Python 3.11 returns a path
    # for a path.
    return shutil.which(str(path.absolute()))


def packages_of(python: str, option: str) -> dict[str, str]:
    """All packages of an interpreter, with their versions.

    Args:
        python: the path of the interpreter.
        option: the option that named it, for the message.

    Raises:
        UserError: the interpreter does not answer.
    """
    try:
        return installed_in(python)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UserError(f"{option} {python}: this interpreter does not tell its libraries: {error}") from None


def program_folders(root: Path, pythonpath: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Folders with the user's own programs.

    They are the current folder, the run's root, pytest's ``pythonpath``, and those of ``PYTHONPATH``.
    """
    named = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return tuple(dict.fromkeys(map(os.path.abspath, (Path.cwd(), root, *pythonpath, *named))))


def code_folders(folder: Path, root: Path, programs: Sequence[str]) -> tuple[str, ...]:
    """Folders of a checkout in which to look for code.

    Args:
        folder: the folder of the checkout that corresponds to ``root``.
        root: the folder of the run.
        programs: the folders from ``program_folders``; those below ``root`` have a counterpart in the checkout.
    """
    inside = [Path(place) for place in programs if Path(place).is_relative_to(root)]
    wanted = [folder, folder / "src", *(folder / place.relative_to(root) for place in inside)]
    return tuple(dict.fromkeys(str(place) for place in wanted if place.is_dir()))
