"""The two sides of a run: where the code under test runs, and what it is held against."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from perfgate.plugin.options import Options
from perfgate.system.git import git_state
from perfgate.system.provenance import software

if TYPE_CHECKING:
    from perfgate.reference.interpreter import Interpreter
    from perfgate.reference.reference import Reference

Progress = Callable[[str], None]


class Sides:
    """Found or built when first asked for; xdist's workers are told what the controller found.

    Args:
        config: of pytest.
        options: of the run.

    Attributes:
        reference: what this code is held against, if anything but baselines.
    """

    def __init__(self, config: pytest.Config, options: Options) -> None:
        self._options = options
        self._root: Path = config.rootpath
        self._pythonpath = config.getini("pythonpath")
        self.reference: Reference | None = None
        self._candidate: Interpreter | None = None

    @property
    def wanted_first(self) -> bool:
        """Whether something has to be opened or built before the first case is known."""
        return bool(self._options.reference) or self._options.environment == "lock"

    def candidate(self, progress: Progress = lambda _: None) -> "Interpreter":
        """The interpreter that this code runs in.

        Raises:
            UserError: what is installed is too old, or not what the lock file names.
        """
        if self._candidate is None:
            from perfgate.reference.candidate import candidate_of, other_candidate
            from perfgate.reference.interpreter import program_folders

            options, root = self._options, self._root
            programs = program_folders(root, self._pythonpath)
            if options.candidate:
                self._candidate = other_candidate(options.candidate, programs)
                return self._candidate
            how = (options.environment, root, options.locks, options.install, programs)
            self._candidate = candidate_of(*how, progress)
        return self._candidate

    def open(self, stack: ExitStack, progress: Progress) -> None:
        """Make both sides ready, until the stack is closed.

        Raises:
            UserError: one of them cannot serve.
        """
        from perfgate.reference.reference import opened

        options, root = self._options, self._root
        candidate = self.candidate(progress)
        if options.reference:
            written = [root / options.output, root / options.baselines]
            how = (options.reference_python, options.locks, options.install, written, candidate.after)
            self.reference = stack.enter_context(opened(options.reference, root, *how, candidate, progress))

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
        """For workers of xdist."""
        both = {"candidate": self._candidate, "reference": self.reference}
        return {name: found.to_json() for name, found in both.items() if found}

    def receive(self, told: Mapping[str, Any]) -> None:
        """Take over what the controller found, in a worker of xdist."""
        from perfgate.reference.interpreter import Interpreter
        from perfgate.reference.reference import Reference

        if "candidate" in told:
            self._candidate = Interpreter.from_json(told["candidate"])
        if "reference" in told:
            self.reference = Reference.from_json(told["reference"])

    @property
    def software(self) -> dict[str, str]:
        """Versions of the libraries of the code under test."""
        return dict(self._candidate.software) if self._candidate else software()

    def header(self) -> dict[str, Any]:
        """What the run file's first line says of both sides."""
        found: dict[str, Any] = {"software": self.software}
        if self._candidate and not self._candidate.is_this:
            found["candidate"] = self._candidate.to_json()
        if self.reference:
            found["reference"] = self.reference.to_json()
        return found

    def headline(self) -> str:
        """What this code is held against, with commit and libraries of both sides."""
        if not self.reference:
            return f"against {self._options.reference}"
        commit, dirty = git_state(self._root)
        this = in_words(self.software, f"{commit[:12]}{' with changes' if dirty else ''}" if commit else "")
        there = in_words(self.reference.software, self.reference.commit[:12])
        return f"against {self.reference.name} ({there}), candidate {this}"


def in_words(libraries: Mapping[str, str], commit: str) -> str:
    """Commit and most important libraries of one side."""
    named = [f"{name} {libraries[name]}" for name in ("python", "torch", "transformers") if name in libraries]
    return ", ".join(filter(None, [commit, *named]))
