"""Reads pytest's ini values as a run in the current folder would read them."""

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfgate.reference.interpreter import program_folders
from perfgate.shared.errors import UserError

if TYPE_CHECKING:
    import pytest


@dataclass(frozen=True)
class Ini:
    """The ini values that commands use.

    Attributes:
        root: pytest's rootdir.
        preload: the modules that fork servers import in advance.
        baselines: the folder of the baselines.
        output: the folder of the run files.
        suite: the folder of the cases.
        programs: folders with programs of the user's own.
        history: the URL of the history; empty if none is named.
    """

    root: Path
    preload: tuple[str, ...]
    baselines: str
    output: str
    suite: str
    programs: tuple[str, ...]
    history: str


class Reader:
    """A plugin that keeps pytest's configuration, and ends pytest before it collects or configures anything."""

    def __init__(self) -> None:
        self.ini: Ini | None = None

    def pytest_cmdline_main(self, config: "pytest.Config") -> int:
        """Keep the configuration, and end pytest."""
        get: Any = config.getini
        self.ini = Ini(
            config.rootpath,
            tuple(get("perf_preload")),
            get("perf_baselines"),
            get("perf_output"),
            get("perf_root"),
            program_folders(config.rootpath, get("pythonpath")),
            get("perf_history"),
        )
        return 0


def read_ini() -> Ini:
    """Read the ini values for the current folder.

    Raises:
        UserError: pytest cannot read its ini file, or a run there would not load Perfgate.
    """
    import pytest  # takes half of a command's start, and most commands read no ini file

    pytest.hookimpl(tryfirst=True)(Reader.pytest_cmdline_main)
    reader, said = Reader(), io.StringIO()
    # Neither conftest.py nor the plugins and options in addopts may run here.
    arguments = ["--noconftest", "-p", "no:cacheprovider", "-o", "addopts="]
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            pytest.main(arguments, plugins=[reader])
        except ValueError as error:  # the ini value is not declared
            said.write(str(error))
    if reader.ini is None:
        lines = said.getvalue().strip().splitlines()
        raise UserError(f"pytest cannot read its ini file in {Path.cwd()}", "\n".join(lines))
    return reader.ini


def with_preload(ini: Ini, named: list[str] | None) -> tuple[str, ...]:
    """The modules to import in advance: those of the ini file, then those of ``--preload``."""
    return tuple(dict.fromkeys([*ini.preload, *(named or ())]))


def add_preload(parser: Any) -> None:
    """Declare ``--preload``."""
    parser.add_argument(
        "--preload",
        action="append",
        metavar="MODULE",
        help="module to import first, such as one that registers an architecture; repeatable; adds to perf_preload",
    )
