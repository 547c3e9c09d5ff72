"""The two sides of a run: the environment of the code under test, and the reference."""

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from perfgate.gate.acceptance import TRAILER, Acceptance, from_json, of_option, of_trailer, to_json
from perfgate.plugin.options import Options
from perfgate.remote.forges.consent import objection
from perfgate.shared.errors import UserError
from perfgate.system.bar import default_branch, moved_bar
from perfgate.system.git import commit_of, git_state, trailers
from perfgate.system.provenance import installed, software

if TYPE_CHECKING:
    from perfgate.reference.baseline_state import BaselineStates
    from perfgate.reference.interpreter import Interpreter
    from perfgate.reference.reference import Reference

Progress = Callable[[str], None]


class Sides:
    """Both sides; each is found or built when first needed, and the controller passes them on to xdist's workers.

    Args:
        config: pytest's configuration.
        options: the options of the run.

    Attributes:
        reference: the reference; ``None`` if this code is compared with baselines.
        accepted: the regressions that are accepted against the reference.
        misread: a sentence for each acceptance that cannot be read.
    """

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self._options = options
        self._root: Path = config.rootpath
        self._pythonpath = config.getini("pythonpath")
        self.reference: Reference | None = None
        self.accepted: tuple[Acceptance, ...] = ()
        self.misread: list[str] = []
        self._candidate: Interpreter | None = None
        self._packages: Mapping[str, str] = {}

    @cached_property
    def bar(self) -> list[str]:
        """Files that move the bar, changed since the revision that this code is compared with.

        Without such a revision, changed since the default branch.
        """
        held = self._options.baselines.removeprefix("git:")
        stored = commit_of(self._root, held) if held != self._options.baselines else None
        commit = self.reference.commit if self.reference else stored or default_branch(self._root)
        return moved_bar(self._root, commit, "baselines" if stored else self._options.baselines) if commit else []

    @property
    def wanted_first(self) -> bool:
        """Whether something must be opened or built before the first case is known."""
        options = self._options
        return bool(options.reference or options.candidate) or options.environment == "lock"

    def candidate(self, progress: Progress = lambda _: None) -> "Interpreter":
        """The interpreter that this code runs in.

        Raises:
            UserError: an installed library is too old, or not the one that the lock file names.
        """
        if self._candidate is None:
            from perfgate.reference.candidate import candidate_of

            options = self._options
            how = (self._root, options.locks, options.install, self._programs())
            self._candidate = candidate_of(options.environment, *how, progress)
        return self._candidate

    def _programs(self) -> tuple[str, ...]:
        """Folders with the user's own programs."""
        from perfgate.reference.interpreter import program_folders

        return program_folders(self._root, self._pythonpath)

    def packages(self) -> Mapping[str, str]:
        """The version of every package that this code runs with; found once."""
        if not self._packages:
            from perfgate.reference.interpreter import packages_of

            python = self.candidate().python
            self._packages = installed() if python == sys.executable else packages_of(python, "--perf-env")
        return self._packages

    def baseline_states(self, machine: str) -> "BaselineStates":
        """The states behind a machine's baselines."""
        from perfgate.reference.baseline_state import BaselineStates

        options = self._options
        written = [self._root / options.output]
        how = (written, options.locks, options.install, self.candidate())
        return BaselineStates(self._root, options.baselines, machine, *how)

    def open(self, stack: ExitStack, progress: Progress) -> None:
        """Prepare both sides, until the stack is closed.

        Raises:
            UserError: a side cannot be used.
        """
        from perfgate.reference.candidate import other_candidate
        from perfgate.reference.reference import opened

        options, root = self._options, self._root
        if options.candidate:
            how = (options.candidate, root, options.locks, options.install, self._programs())
            self._candidate = stack.enter_context(other_candidate(*how, progress))
        candidate = self.candidate(progress)
        if options.reference:
            written = [root / options.output, root / options.baselines]
            where = (options.reference_python, options.locks, options.install, written, self._programs())
            self.reference = stack.enter_context(opened(options.reference, root, *where, candidate, progress))
            said = [of_option(text, options.root) for text in options.accepted]
            committed, self.misread = read_trailers(root, self.reference.commit, options.root)
            if why := objection(os.environ):
                self.misread += [f"{one.source} accepts {one.metric} of {one.case}: {why}" for one in committed]
                committed = []
            self.accepted = (*said, *committed)

    def check(self, needs_libraries: bool) -> None:
        """Refuse sides that cannot run the selected cases.

        Args:
            needs_libraries: whether any of them runs one of Perfgate's own programs.

        Raises:
            UserError: the candidate is refused, or the reference lacks a library.
        """
        self.candidate()
        if self.reference and needs_libraries:
            from perfgate.reference.reference import check_libraries

            check_libraries(self.reference)

    def to_json(self) -> dict[str, Any]:
        """The value for xdist's workers."""
        both = {"candidate": self._candidate, "reference": self.reference}
        sides: dict[str, Any] = {name: found.to_json() for name, found in both.items() if found}
        return sides | {"accepted": to_json(self.accepted)}

    def receive(self, told: Mapping[str, Any]) -> None:
        """Take over the sides that the controller found, in a worker of xdist."""
        from perfgate.reference.interpreter import Interpreter
        from perfgate.reference.reference import Reference

        if "candidate" in told:
            self._candidate = Interpreter.from_json(told["candidate"])
        if "reference" in told:
            self.reference = Reference.from_json(told["reference"])
        self.accepted = tuple(from_json(told["accepted"]))

    @property
    def software(self) -> dict[str, str]:
        """Versions of the libraries of the code under test."""
        return dict(self._candidate.software) if self._candidate else software()

    def header(self) -> dict[str, Any]:
        """The facts about both sides for the run file's first line."""
        found: dict[str, Any] = {"software": self.software}
        if self._candidate and not self._candidate.is_this:
            found["candidate"] = self._candidate.to_json()
            if self._candidate.commit:
                found |= {"commit": self._candidate.commit, "dirty": False}
        if self.reference:
            found["reference"] = self.reference.to_json()
        if self.bar:
            found["bar"] = self.bar
        if self.accepted or self.misread:
            found |= {"accepted": to_json(self.accepted), "misread": self.misread}
        return found

    def headline(self) -> str:
        """The header's line about the comparison, with commit and libraries of both sides."""
        if not self.reference:
            return f"against {self._options.reference}"
        commit, dirty = git_state(self._root)
        if self._candidate and self._candidate.commit:
            commit, dirty = self._candidate.commit, False
        this = in_words(self.software, f"{commit[:12]}{' with changes' if dirty else ''}" if commit else "")
        there = in_words(self.reference.software, self.reference.commit[:12])
        return f"against {self.reference.name} ({there}), candidate {this}"


def read_trailers(root: Path, commit: str, cases: str) -> tuple[list[Acceptance], list[str]]:
    """The acceptances in commits since a reference, and a sentence for each unreadable one.

    Args:
        root: the folder of the run.
        commit: the reference's commit; empty if it is an interpreter, which has none.
        cases: the folder of the cases; their ids are relative to it.
    """
    found: list[Acceptance] = []
    misread: list[str] = []
    for trailer in trailers(root, TRAILER, commit) if commit else ():
        if not trailer.last:
            misread.append(
                f"commit {trailer.commit[:10]}: {TRAILER}: {trailer.value} is not among the last lines of its message, "
                "so it accepts nothing"
            )
            continue
        try:
            found.append(of_trailer(trailer.value, trailer.commit, cases))
        except UserError as error:
            misread.append(str(error))
    return found, misread


def in_words(libraries: Mapping[str, str], commit: str) -> str:
    """The commit and the most important libraries of one side, in words."""
    named = [f"{name} {libraries[name]}" for name in ("python", "torch", "transformers") if name in libraries]
    return ", ".join(filter(None, [commit, *named]))
