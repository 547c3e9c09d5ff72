"""A Python interpreter that actors run in: how it is found, and where it finds code."""

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
    """Where the actors of one side run.

    Attributes:
        python: its path.
        path: folders with the code under test, before everything that is installed.
        after: folders with programs of the user's own, behind everything that is installed: where the environment
            brings a package, the package of that environment is what is measured.
        software: versions of its libraries, by name.
    """

    python: str = sys.executable
    path: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    software: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_this(self) -> bool:
        """Whether it is this process's interpreter, with this process's code."""
        return self.python == sys.executable and not self.path

    def to_json(self) -> dict[str, Any]:
        """For the run file, and for workers."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(**{**found, "path": tuple(found["path"]), "after": tuple(found["after"])})


def find_interpreter(name: str) -> str | None:
    """The path of an interpreter; ``None`` where there is none of that name.

    Args:
        name: a path, the folder of an environment, or a command that the shell would find.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        path = path / "bin" / "python"
    elif path.name == name:
        return shutil.which(name)
    # Not resolved: an environment's link to its interpreter must stay a link. As text, as Python 3.11 returns a path
    # for a path.
    return shutil.which(str(path.absolute()))


def packages_of(python: str, option: str) -> dict[str, str]:
    """Every package that an interpreter has, with its version.

    Args:
        python: its path.
        option: that named it, for the message.

    Raises:
        UserError: it cannot be asked.
    """
    try:
        return installed_in(python)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UserError(f"{option} {python}: this interpreter does not tell its libraries: {error}") from None


def program_folders(root: Path, pythonpath: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """Folders in which programs of the user's own lie: where the run was started, its root, pytest's pythonpath, and
    what ``PYTHONPATH`` names."""
    named = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    return tuple(dict.fromkeys(map(os.path.abspath, (Path.cwd(), root, *pythonpath, *named))))


def code_folders(folder: Path, root: Path, programs: Sequence[str]) -> tuple[str, ...]:
    """Folders of one checkout to find code in.

    Args:
        folder: of the checkout, which stands for ``root``.
        root: the folder of the run.
        programs: folders as ``program_folders`` returns them; those below ``root`` have a counterpart.
    """
    inside = [Path(place) for place in programs if Path(place).is_relative_to(root)]
    wanted = [folder, folder / "src", *(folder / place.relative_to(root) for place in inside)]
    return tuple(dict.fromkeys(str(place) for place in wanted if place.is_dir()))
