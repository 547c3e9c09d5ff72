"""What a run is held against in place of stored numbers: another interpreter, or the code of a git revision."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import perfgate
from perfgate.reference.environment import LOCKS, built_for, moved_locks
from perfgate.reference.worktree import Worktree
from perfgate.shared.errors import UserError
from perfgate.system.git import commit_of, differing
from perfgate.system.provenance import software, software_of

PACKAGE = Path(perfgate.__file__).parent.resolve()


@dataclass(frozen=True)
class Reference:
    """The other side of every duet.

    Attributes:
        name: as it was asked for.
        python: its interpreter.
        path: folders to find the code under test in, before all others but Perfgate's own.
        commit: of a revision; empty for an interpreter.
        software: versions of its libraries.
    """

    name: str
    python: str
    path: tuple[str, ...] = ()
    commit: str = ""
    software: Mapping[str, str] | None = None

    def to_json(self) -> dict[str, Any]:
        """For the run file, and for workers."""
        return asdict(self)

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Reference":
        """Read what ``to_json`` wrote."""
        return cls(**{**found, "path": tuple(found["path"])})


@contextmanager
def opened(
    name: str,
    root: Path,
    python: str = "",
    locks: Sequence[str] = (),
    install: Sequence[str] = (),
    without: Sequence[Path] = (),
) -> Iterator[Reference]:
    """Make a reference ready, and clear it away afterwards.

    Args:
        name: an interpreter, the folder of its environment, or a git revision.
        root: the folder of the run, inside the repository that the revision is of.
        python: the interpreter that a revision runs under; where none is named, this one, or one that is built where
            the revision pins other libraries.
        locks: the files that pin libraries.
        install: arguments of ``pip install`` for a revision that needs an environment of its own.
        without: folders of the repository in which a difference is none of the code's.

    Raises:
        UserError: it is neither, it cannot serve, or nothing differs between the two sides.
    """
    commit = commit_of(root, name)
    # A program may be called as a revision is: libwww-perl has one by the name of HEAD.
    alone = Path(name).name == name and not Path(name).is_dir()
    if not (commit and alone) and (found := find_interpreter(name)):
        yield Reference(name, found, software=check_interpreter(found))
        return
    if commit is None:
        raise UserError(
            f"--perf-ref is {name!r}; it is no Python interpreter, no folder of an environment, and no revision of "
            f"the repository in {root} (is it fetched? git fetch origin)"
        )
    if not python and not differing(root, commit, (PACKAGE, *without)):
        raise UserError(f"--perf-ref {name}: nothing differs between {commit[:12]} and the working tree")
    worktree = Worktree(root, commit)
    try:
        folders = [folder for folder in (worktree.folder, worktree.folder / "src") if folder.is_dir()]
        chosen = interpreter_of(worktree.folder, root, python, locks or LOCKS, install)
        versions = software() if chosen == sys.executable else software_of(chosen)
        yield Reference(name, chosen, tuple(map(str, folders)), commit, versions)
    finally:
        worktree.close()


def interpreter_of(folder: Path, root: Path, python: str, locks: Sequence[str], install: Sequence[str]) -> str:
    """The interpreter for a revision: the named one, this one, or one that is built.

    Raises:
        UserError: the named one is none, or it cannot be built.
    """
    if python:
        found = find_interpreter(python)
        if found is None:
            raise UserError(f"--perf-ref-python is {python!r}; it must be a Python interpreter")
        return found
    return built_for(folder, locks, install) if moved_locks(folder, root, locks) else sys.executable


def find_interpreter(name: str) -> str | None:
    """The path of an interpreter; ``None`` where there is none of that name."""
    path = Path(name).expanduser()
    path = path / "bin" / "python" if path.is_dir() else path
    # A name alone is looked up as the shell does; an environment's link to its interpreter must stay a link.
    return shutil.which(name) if path.name == name else shutil.which(path.absolute())


def check_interpreter(python: str) -> dict[str, str]:
    """Refuse to compare an interpreter with one that has the same; returns what it has.

    Raises:
        UserError: nothing differs, or the other one cannot be asked.
    """
    try:
        there, here = software_of(python), software()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise UserError(f"--perf-ref {python}: this interpreter does not tell its libraries: {error}") from None
    if missing := [name for name in ("torch", "transformers") if name not in there]:
        install = f"{python} -m pip install {' '.join(missing)}"
        raise UserError(f"--perf-ref {python} lacks {' and '.join(missing)}; install what is missing: {install}")
    there.pop("perfgate", None)  # a reference needs none
    if all(here.get(name) == version for name, version in there.items()):
        named = ", ".join(f"{name} {version}" for name, version in there.items())
        raise UserError(f"--perf-ref {python}: nothing differs between the two interpreters, both have {named}")
    return there
