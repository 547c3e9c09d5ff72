"""Opens the reference of a run: another interpreter, or the code of a git revision."""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from packaging.version import Version

import perfgate
from perfgate.reference.build_step import Progress
from perfgate.reference.environment import built_for
from perfgate.reference.interpreter import Interpreter, code_folders, find_interpreter, packages_of
from perfgate.reference.lock_files import moved_locks
from perfgate.reference.worktree import Worktree
from perfgate.shared.errors import UserError
from perfgate.system.git import between, commit_of, differing
from perfgate.system.provenance import installed, libraries_among

PACKAGE = Path(perfgate.__file__).parent.resolve()
OLDEST = {"torch": "2.6", "transformers": "4.37.2"}


@dataclass(frozen=True, kw_only=True)
class Reference(Interpreter):
    """The other side of every duet.

    Attributes:
        name: the name that the user gave.
        moved: by name, every package whose version differs: the reference's version and the candidate's, which is empty
            if a side lacks the package.
    """

    name: str
    moved: Mapping[str, Sequence[str]] = field(default_factory=dict)


@contextmanager
def opened(
    name: str,
    root: Path,
    python: str = "",
    locks: Sequence[str] = (),
    install: Sequence[str] = (),
    without: Sequence[Path] = (),
    programs: Sequence[str] = (),
    candidate: Interpreter | None = None,
    progress: Progress = lambda _: None,
) -> Iterator[Reference]:
    """Prepare a reference, and clean up when the block ends.

    Args:
        name: an interpreter, the folder of its environment, or a git revision.
        root: the folder of the run, inside the repository of the revision.
        python: the interpreter for a revision. By default it is the candidate's, or a new one if the revision pins
            other libraries.
        locks: the files that pin libraries.
        install: arguments of ``pip install`` for a revision that needs an environment of its own.
        without: folders of the repository in which differences do not count as differences of the code.
        programs: folders with programs of the user's own.
        candidate: the interpreter of the other side.
        progress: called with a few words when something is built.

    Raises:
        UserError: the name is neither an interpreter nor a revision, the reference cannot be used, or both sides are
            equal.
    """
    candidate = candidate or Interpreter()
    here = installed() if candidate.python == sys.executable else packages_of(candidate.python, "--perf-env")
    commit = commit_of(root, name)
    # A program can have the name of a revision: libwww-perl installs one that is called HEAD.
    alone = Path(name).name == name and not Path(name).is_dir()
    if not (commit and alone) and (found := find_interpreter(name)):
        there = packages_of(found, "--perf-ref")
        check_versions(there, found)
        moved = differences(there, here)
        if not moved:
            named = ", ".join(f"{library} {version}" for library, version in libraries_among(there).items())
            raise UserError(f"--perf-ref {found}: nothing differs between the two interpreters, both have {named}")
        yield Reference(name=name, python=found, after=tuple(programs), software=libraries_among(there), moved=moved)
        return
    if commit is None:
        raise UserError(
            f"--perf-ref is {name!r}; it is no Python interpreter, no folder of an environment, and no revision of "
            f"the repository in {root} (is it fetched? git fetch origin)"
        )
    if not python and not changed(root, commit, candidate, (PACKAGE, *without)):
        there_is = candidate.commit[:12] or "the working tree"
        raise UserError(f"--perf-ref {name}: nothing differs between {commit[:12]} and {there_is}")
    with checked_out(root, commit, python, locks, install, programs, candidate, progress) as side:
        there = here if side.python == candidate.python else packages_of(side.python, "--perf-ref")
        yield Reference(
            name=name,
            python=side.python,
            path=side.path,
            after=side.after,
            software=libraries_among(there),
            commit=commit,
            moved=differences(there, here),
        )


def changed(root: Path, commit: str, candidate: Interpreter, without: Collection[Path]) -> list[str]:
    """Files that differ between a commit and the code of the other side."""
    if candidate.commit:
        return between(root, commit, candidate.commit, without)
    return differing(root, commit, without)


@contextmanager
def checked_out(
    root: Path,
    commit: str,
    python: str,
    locks: Sequence[str],
    install: Sequence[str],
    programs: Sequence[str],
    candidate: Interpreter,
    progress: Progress,
    option: str = "--perf-ref",
) -> Iterator[Interpreter]:
    """The code of a commit in a temporary folder, and the interpreter for it, until the block ends.

    The arguments are those of ``opened``; ``option`` is the one that asked for it, for messages.

    Raises:
        UserError: there is no interpreter for it.
    """
    worktree = Worktree(root, commit)
    try:
        folder = worktree.folder
        yield Interpreter(
            python=interpreter_of(folder, root, python, locks, install, candidate, progress, option),
            path=code_folders(folder, root, programs),
            after=tuple(place for place in programs if not Path(place).is_relative_to(root)),
            commit=commit,
        )
    finally:
        worktree.close()


def interpreter_of(
    folder: Path,
    root: Path,
    python: str,
    locks: Sequence[str],
    install: Sequence[str],
    candidate: Interpreter,
    progress: Progress,
    option: str,
) -> str:
    """The interpreter for a revision: the named one, the candidate's, or one in a new environment.

    Raises:
        UserError: there is no interpreter of that name, or the environment cannot be built.
    """
    if python:
        found = find_interpreter(python)
        if found is None:
            raise UserError(f"--perf-ref-python is {python!r}; it must be a Python interpreter")
        return found
    if not moved_locks(folder, root, locks):
        # The interpreter of a commit may match its own lock files.
        return sys.executable if candidate.commit else candidate.python
    return built_for(folder, locks, install, option, progress)


def differences(there: Mapping[str, str], here: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Packages whose versions differ, with the reference's version and this side's. Perfgate itself is left out."""
    names = sorted({*there, *here} - {"perfgate"})
    return {name: (there.get(name, ""), here.get(name, "")) for name in names if there.get(name) != here.get(name)}


def check_versions(there: Mapping[str, str], python: str, option: str = "--perf-ref") -> None:
    """Check that an interpreter's libraries are not too old for the actor.

    Raises:
        UserError: a library is too old; the message has both versions.
    """
    role = "a reference" if option == "--perf-ref" else "held against another"
    for name, oldest in OLDEST.items():
        if name in there and Version(there[name].partition("@")[0]) < Version(oldest):
            raise UserError(
                f"{option} {python} has {name} {there[name]}, and the oldest that can be {role} is {oldest}; "
                f"install a newer one there: {python} -m pip install '{name}>={oldest}'"
            )


def check_libraries(reference: Reference) -> None:
    """Check that the reference has the libraries that Perfgate's own programs need.

    Raises:
        UserError: a library is missing; the message has the command that installs it.
    """
    if missing := [name for name in OLDEST if name not in reference.software]:
        install = f"{reference.python} -m pip install {' '.join(missing)}"
        raise UserError(
            f"--perf-ref {reference.name} lacks {' and '.join(missing)}; install what is missing: {install}"
        )
