"""The state behind a stored baseline: the commit that last changed it, with the libraries of that time.

If baselines are committed together with the code that they were measured on, git alone knows this state.
"""

import json
import math
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perfgate.records.baseline_files import case_file
from perfgate.reference.build_step import Progress
from perfgate.reference.environment import built_for, requirements
from perfgate.reference.interpreter import Interpreter, code_folders, packages_of
from perfgate.reference.lock_files import moved_locks
from perfgate.reference.reference import Reference
from perfgate.reference.worktree import Worktree
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json
from perfgate.system.git import between, blob, boundary, commit_of, differing, git, last_commit

OPTION = "--perf-confirm"
SPECIAL = re.compile(r"([][\\.*^$+?(){}|])")  # characters with a meaning in an extended regular expression


class NoStateError(Exception):
    """A state is not available; the message is a clause that says why.

    Args:
        why: the reason, as a clause.
        remedy: the command that makes it available; empty if none does.
    """

    def __init__(self, why: str, remedy: str = "") -> None:
        super().__init__(f"{why}: {remedy}" if remedy else why)
        self.remedy = remedy


@dataclass(frozen=True)
class BaselineState:
    """The state that a baseline was measured in.

    Attributes:
        commit: full hash.
        software: versions of Python and of the libraries under test, as the baseline file of that commit names them.
    """

    commit: str
    software: Mapping[str, str]


class BaselineStates:
    """Finds the states of baselines, and prepares one of them at a time to run.

    Args:
        root: the folder of the run.
        location: the place of the baselines, as in ``--perf-baselines``.
        machine: the machine's folder in it.
        written: further folders whose differences do not count as the code's.
        locks: the files that pin libraries.
        install: arguments of ``pip install`` for a state that needs an environment of its own.
        candidate: the interpreter of the code under test.
    """

    def __init__(
        self,
        root: Path,
        location: str,
        machine: str,
        written: Sequence[Path],
        locks: Sequence[str],
        install: Sequence[str],
        candidate: Interpreter,
    ) -> None:
        self._root = root
        self._revision = location.removeprefix("git:") if location.startswith("git:") else ""
        self._folder = root / ("baselines" if self._revision else location)
        self._machine = machine
        self._written = [self._folder, *written]
        self._locks = locks
        self._install = install
        self._candidate = candidate
        self._found: dict[str, BaselineState] = {}
        self._failures: dict[str, str] = {}
        self._differing: dict[str, list[str]] = {}
        self._open: tuple[BaselineState, Worktree, Reference] | None = None

    def find(self, case: str) -> BaselineState:
        """The state of a case's baseline.

        Raises:
            NoStateError: it is unknown, or its commit is not available here.
        """
        if case not in self._found:
            try:
                self._found[case] = self._search(case)
            except UserError as error:
                raise NoStateError(str(error)) from None
        return self._found[case]

    def _search(self, case: str) -> BaselineState:
        try:
            top = Path(git(self._root, "rev-parse", "--show-toplevel")).resolve()
        except UserError:
            raise NoStateError(f"{self._root} is in no git repository") from None
        file = self._folder / self._machine / case_file(case)
        if not file.resolve().is_relative_to(top):
            raise NoStateError(f"{file} is outside of the repository in {top}")
        path = str(file.resolve().relative_to(top))
        revision = commit_of(top, self._revision or "HEAD")
        rows = rows_of(blob(top, revision, path), case) if revision else []
        if not self._revision and rows_of(file.read_text(encoding="utf-8"), case) != rows:
            if not rows and git(top, "ls-files", "--others", "--ignored", "--exclude-standard", "--", path):
                raise NoStateError(f"git ignores {file}")
            store = f"git add {shlex.quote(str(file))} && git commit"
            raise NoStateError(
                "its baseline is not committed, so the code that it belongs to is not known; commit it", store
            )
        commit = last_change(top, revision or "", path, case, rows)
        if commit in boundary(top):
            raise NoStateError(
                "the commit that last changed its baseline is not in this shallow clone; fetch it",
                "git fetch --unshallow",
            )
        software = document_of(blob(top, commit, path)).get("software", {})
        return BaselineState(commit, {name: str(version) for name, version in software.items()})

    def differing(self, state: BaselineState) -> list[str]:
        """Files that differ from that state, uncommitted ones included and baselines excluded."""
        if state.commit not in self._differing:
            self._differing[state.commit] = differing(self._root, state.commit, self._written)
        return self._differing[state.commit]

    def moved(self, state: BaselineState) -> dict[str, tuple[str, str]]:
        """Python and the libraries under test whose versions differ: the state's version, and the candidate's.

        Only the minor version of Python counts, such as 3.12, because a patch changes no library.
        """
        before, now = (
            {name: compared(name, version) for name, version in software.items() if name != "perfgate"}
            for software in (state.software, self._candidate.software)
        )
        return {name: (version, now.get(name, "")) for name, version in before.items() if now.get(name) != version}

    def is_open(self, state: BaselineState) -> bool:
        """Whether this state, or one with the same code and libraries, is ready to run."""
        if self._open is None or self._open[0].software != state.software:
            return False
        before = self._open[0].commit
        return before == state.commit or not between(self._root, before, state.commit, self._written)

    def open(self, state: BaselineState, progress: Progress, left_s: float = math.inf) -> Reference:
        """Check out a state, with an environment that has its libraries, and close the state that was open before.

        Args:
            state: a baseline's state.
            progress: called with a few words at each step.
            left_s: the longest that building an environment may take, in seconds.

        Raises:
            TimeoutError: the environment was not ready by then.
            UserError: it cannot be checked out, or its libraries cannot be installed.
        """
        if self._open is not None and self.is_open(state):
            return self._open[2]
        if state.commit in self._failures:
            raise UserError(self._failures[state.commit])
        self.close()
        progress(f"checks out {state.commit[:12]}, which last changed the baseline")
        worktree = Worktree(self._root, state.commit)
        try:
            python = self._interpreter(worktree.folder, state, progress, left_s)
        except BaseException as error:
            worktree.close()
            if isinstance(error, UserError):  # a failed build is not tried again for every case
                self._failures[state.commit] = str(error)
            raise
        programs = self._candidate.after
        reference = Reference(
            name=f"baseline-{state.commit[:12]}",
            python=python,
            path=code_folders(worktree.folder, self._root, programs),
            after=tuple(place for place in programs if not Path(place).is_relative_to(self._root)),
            software=state.software,
            commit=state.commit,
            moved=self.moved(state),
        )
        self._open = state, worktree, reference
        return reference

    def _interpreter(self, folder: Path, state: BaselineState, progress: Progress, left_s: float) -> str:
        """The candidate's interpreter, or one that is built from the state's lock files, or else from its versions."""
        moved = self.moved(state)
        if "python" in moved:
            before, now = moved["python"]
            raise UserError(f"the baseline was measured under Python {before}, and this is Python {now}")
        libraries = {name: version for name, (version, _) in moved.items()}
        if moved_locks(folder, self._root, self._locks):
            python = built_for(folder, self._locks, self._install, OPTION, progress, left_s)
            return self._as_recorded(python, libraries)
        if not libraries:
            return self._candidate.python
        pins = [f"{name}=={version}" for name, version in state.software.items() if name not in ("python", "perfgate")]
        try:
            others = list(self._install) or requirements(folder, self._locks, OPTION)
        except UserError:  # nothing is pinned, so only the versions are known
            others = []
        return built_for(folder, self._locks, [*others, *pins], OPTION, progress, left_s)

    def _as_recorded(self, python: str, libraries: Mapping[str, str]) -> str:
        """Check that an interpreter built from lock files has the libraries that the baseline names, and return it."""
        found = packages_of(python, OPTION)
        for name, version in libraries.items():
            if compared(name, found.get(name, "")) != version:
                raise UserError(
                    f"the baseline was measured with {name} {version}, and its lock files give "
                    f"{found.get(name) or 'none'}"
                )
        return python

    def close(self) -> None:
        """Remove the checkout."""
        if self._open is not None:
            self._open[1].close()
            self._open = None


def last_change(top: Path, revision: str, path: str, case: str, rows: Sequence[Any]) -> str:
    """The commit that last changed a case's rows in a baseline file.

    If a merge only took the rows from one of its parents, it is the commit on that side.

    Args:
        top: the top of the repository.
        revision: a commit that has the rows.
        path: the file, relative to the top.
        case: the case's id.
        rows: the rows.
    """
    pattern = SPECIAL.sub(r"\\\1", f'"case": {json.dumps(case)}')
    while found := last_commit(top, revision, path, pattern):
        commit, parents = found
        taken = next((parent for parent in parents if rows_of(blob(top, parent, path), case) == rows), None)
        if taken is None:
            return commit
        revision = taken
    return revision


def rows_of(text: str, case: str) -> list[Any]:
    """The rows of a case in the text of a baseline file; empty if it has none, or the text is damaged."""
    return [row for row in document_of(text).get("rows", ()) if isinstance(row, dict) and row.get("case") == case]


def document_of(text: str) -> dict[str, Any]:
    """The content of a baseline file; empty if the text is none."""
    try:
        found = load_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def compared(name: str, version: str) -> str:
    """The part of a version that counts: without the commit that a package was installed from."""
    return ".".join(version.split(".")[:2]) if name == "python" else version.partition("@")[0]
