"""The screen of a run: the live line, and a line for each case that ended."""

import sys
from contextlib import AbstractContextManager
from typing import Any

import pytest

from perfgate.reports.live import SYMBOLS, Live


class Screen:
    """The output of a run while it goes on.

    Args:
        config: pytest's configuration.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._live: Live | None = None

    def expect(self, cases: int) -> None:
        """Begin to count the ended cases, out of this many."""
        self._live = Live(sys.stdout, cases)

    @property
    def expects(self) -> bool:
        """Whether anything was shown or expected so far."""
        return self._live is not None

    def show(self, case: str, what: str) -> None:
        """Show the progress of a case; only on a terminal, and once cases are expected."""
        if self._live is not None:
            with self._uncaptured():
                self._live.show(case, what)

    def tell(self, what: str) -> None:
        """Show a step of a build as a line of its own, and on a terminal pip's output as it comes."""
        with self._uncaptured():
            self._shown().note(what)

    def ended(self, kind: str, line: str, done: int) -> None:
        """Write the line of a case that ended.

        Args:
            kind: the kind of its outcome.
            line: the line with its result.
            done: the number of ended cases.
        """
        writer: Any = self._config.pluginmanager.getplugin("terminalreporter")
        live = self._shown()
        live.clear()
        text = live.finished(f"{SYMBOLS[kind]} {line}", done)
        if writer is not None and writer.verbosity >= 0:
            # Not written as pytest's own line, or pytest would repeat the file's name before every case.
            writer.write(f"\n{text}", flush=True)

    def clear(self) -> None:
        """Erase the live line."""
        if self._live is not None:
            self._live.clear()

    def _shown(self) -> Live:
        self._live = self._live or Live(sys.stdout, 0)
        return self._live

    def _uncaptured(self) -> AbstractContextManager[None]:
        """Let the block print to the terminal, past pytest's capture."""
        capture: Any = self._config.pluginmanager.getplugin("capturemanager")
        return capture.global_and_fixture_disabled()  # type: ignore[no-any-return]
