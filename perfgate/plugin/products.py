"""Makes a run's products from its run file: new baselines, reports, a page, and an entry in the history."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perfgate.plugin.ends import Ends
from perfgate.plugin.extensions import write_page, write_reports
from perfgate.plugin.history import keep
from perfgate.plugin.options import Options

if TYPE_CHECKING:
    from perfgate.cases.update import Update
    from perfgate.records.runfile import RunFile


class Products:
    """The products of a run, made from its run file.

    Args:
        config: pytest's configuration.
        options: the options of the run.
        path: the run file.

    Attributes:
        update: the result of storing baselines; ``None`` if nothing was to be stored.
        page: the page; ``None`` if none was written.
        kept: a sentence about the entry in the history; empty if there is none.
    """

    def __init__(self, config: pytest.Config, options: Options, path: Path) -> None:
        self._config = config
        self._options = options
        self._path = path
        self.update: Update | None = None
        self.page: Path | None = None
        self.kept = ""

    @cached_property
    def _run(self) -> "RunFile":
        """The run, read from its run file once for all products."""
        from perfgate.records.runfile import read

        return read(self._path)

    def make(self, ends: Ends) -> None:
        """Make all products that the options ask for; earlier ones stay if a later one fails.

        Raises:
            UserError: something cannot be written.
        """
        options = self._options
        if options.update:
            from perfgate.cases.update import update_baselines

            root = self._config.rootpath / options.baselines
            passed = {end.result["case"] for end in ends.of.values() if end.result and end.passed}
            self.update = update_baselines(self._run, root, options.update, options.reason, passed, ends.unfit())
        if options.reports:
            write_reports(self._config, options.reports, self._run)
        if options.html == "auto":
            self.page = write_page(self._path, self._run)
        if options.history:
            self.kept = keep(self._path, self._run, options.history)
