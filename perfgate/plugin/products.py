"""What a run makes of its run file: moved baselines, reports, a page, and its place in the history."""

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
    """What a run makes of its run file.

    Args:
        config: of pytest.
        options: of the run.
        path: where the run file lies.

    Attributes:
        update: what was stored; ``None`` where nothing was to be.
        page: the page that was written; ``None`` where there is none.
        kept: says that the run is in the history; empty where it is not.
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
        """The run file as it was written, read once for all who use it."""
        from perfgate.records.runfile import read

        return read(self._path)

    def make(self, ends: Ends) -> None:
        """Make all that the options ask for; what was made before one fails stays.

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
