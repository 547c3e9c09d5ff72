"""Finds the environment of the code under test, and checks it against the lock file."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from packaging.version import Version

from perfgate.reference.build_step import Progress
from perfgate.reference.environment import built_for, requirements
from perfgate.reference.interpreter import Interpreter, code_folders, packages_of
from perfgate.reference.lock_files import disagreements
from perfgate.reference.reference import check_versions as check_reference
from perfgate.reference.reference import checked_out
from perfgate.shared.errors import UserError
from perfgate.system.git import commit_of
from perfgate.system.provenance import libraries_among, software, version_here

OPTION = "--perf-candidate"
OLDEST = {"transformers": "4.57"}  # as in pyproject.toml


def candidate_of(
    how: str,
    root: Path,
    locks: Sequence[str],
    install: Sequence[str],
    programs: Sequence[str],
    progress: Progress = lambda _: None,
) -> Interpreter:
    """The interpreter of the code under test: this one, or that of the environment that the lock file names.

    Args:
        how: ``check`` refuses an environment other than the one that the lock file names, ``lock`` builds that one, and
            ``installed`` accepts the installed libraries.
        root: the folder of the run.
        locks: the files that pin its libraries.
        install: arguments of ``pip install``; see ``built_for``.
        programs: folders with programs of the user's own.
        progress: called with a few words when something is built.

    Raises:
        UserError: the environment is refused, with the commands that help; or it cannot be built.
    """
    here = software()
    if how != "lock":
        check_versions(here, sys.executable)
    wrong = disagreements(root, locks, version_here) if how != "installed" else []
    if not wrong:
        return Interpreter(after=tuple(programs), software=here)
    if how == "check":
        more = f" ({len(wrong) - 1} more differ)" if len(wrong) > 1 else ""
        raise UserError(
            f"{wrong[0]}{more}, so this is not the environment that would be merged; install it: {sys.executable} -m "
            f"pip install {' '.join(install_arguments(root, locks, install))}, or let Perfgate build it: "
            "--perf-env lock, or measure what is installed: --perf-env installed"
        )
    python = built_for(root, locks, install, "--perf-env lock", progress)
    found = packages_of(python, "--perf-env lock")
    check_versions(found, python)
    if still := disagreements(root, locks, found.get):
        raise UserError(f"--perf-env lock: {python} was built and is not what the lock file names: {still[0]}")
    return Interpreter(
        python=python, path=code_folders(root, root, programs), after=tuple(programs), software=libraries_among(found)
    )


@contextmanager
def other_candidate(
    name: str,
    root: Path,
    locks: Sequence[str],
    install: Sequence[str],
    programs: Sequence[str],
    progress: Progress = lambda _: None,
) -> Iterator[Interpreter]:
    """Another interpreter, or the code of a commit, as the candidate; it is found as a reference is.

    Its libraries may therefore be as old as a reference's. The other arguments are those of ``candidate_of``.

    Args:
        name: path of an interpreter, or the full hash of a commit.

    Raises:
        UserError: its libraries are too old, it cannot be asked, or the commit has no interpreter.
    """
    commit = "" if Path(name).is_absolute() else commit_of(root, name)
    if not commit:
        found = packages_of(name, OPTION)
        check_reference(found, name, OPTION)
        yield Interpreter(python=name, after=tuple(programs), software=libraries_among(found))
        return
    with checked_out(root, commit, "", locks, install, programs, Interpreter(), progress, OPTION) as side:
        yield replace(side, software=libraries_among(packages_of(side.python, OPTION)))


def install_arguments(root: Path, locks: Sequence[str], install: Sequence[str]) -> list[str]:
    """The arguments of ``pip install`` for a message: the given ones, or as good a guess as possible."""
    try:
        return list(install) or requirements(root, locks, "--perf-env")
    except UserError:
        return [name for name in locks if (root / name).exists()]


def check_versions(found: Mapping[str, str], python: str) -> None:
    """Check that no library is too old to be tested. Missing libraries are not checked here.

    Raises:
        UserError: a library is too old; the message has both versions and what to do.
    """
    for name, oldest in OLDEST.items():
        version = found.get(name, "").partition("@")[0]
        if version and Version(version) < Version(oldest):
            beside = ", ".join(f"{library} {text}" for library, text in libraries_among(dict(found)).items())
            raise UserError(
                f"Perfgate measures {name} {oldest} and newer, and {python} has {name} {version} ({beside}); install a "
                f"newer one: {python} -m pip install '{name}>={oldest}'; an older one can be what new code is held "
                f"against: --perf-ref {python}"
            )
