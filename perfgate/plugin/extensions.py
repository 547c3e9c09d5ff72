"""Checks the instruments and report formats that hooks add to a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from perfgate.shared.errors import UserError, nearest
from perfgate.shared.private import write_no_link

if TYPE_CHECKING:
    from perfgate.records.runfile import RunFile
    from perfgate.reports.formats import Writer


def instruments_of(config: pytest.Config) -> tuple[str, ...]:
    """The import paths of all instruments that hooks name, without repetitions.

    Raises:
        UserError: one is not of the form ``module:Class``.
    """
    found = config.hook.pytest_perfgate_instruments(config=config)
    paths = dict.fromkeys(str(path) for named in found for path in named)
    for path in paths:
        module, _, name = path.partition(":")
        if not module or not name:
            raise UserError(f"pytest_perfgate_instruments returned {path!r}; it must be an import path module:Class")
    return tuple(paths)


def reports_of(config: pytest.Config, wanted: Sequence[str]) -> dict[Path, "Writer"]:
    """The writer of each report that a run must write, by the report's file.

    Args:
        config: pytest's configuration, whose hooks name formats.
        wanted: the values of ``--perf-report``, each ``FORMAT=FILE``.

    Raises:
        UserError: a value has another form, or there is no such format.
    """
    if not wanted:
        return {}
    from perfgate.reports.formats import WRITERS, find_writer

    own: dict[str, str] = {}
    for named in config.hook.pytest_perfgate_formats(config=config):
        own |= named
    writers = {}
    for text in wanted:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise UserError(f"--perf-report is {text!r}; it must be FORMAT=FILE, like markdown=report.md")
        if name not in WRITERS and name not in own and ":" not in name:
            raise UserError(f"--perf-report: unknown format {name!r}{nearest(name, [*WRITERS, *own])}")
        writers[config.rootpath / file] = find_writer(own.get(name, name))
    return writers


def write_reports(config: pytest.Config, wanted: Sequence[str], run: "RunFile") -> None:
    """Write the reports that ``--perf-report`` names.

    Args:
        config: pytest's configuration.
        wanted: the values of ``--perf-report``.
        run: the run, as read from its run file.

    Raises:
        UserError: a file cannot be written.
    """
    from perfgate.reports.run_report import run_report

    report = run_report([run])
    for path, writer in reports_of(config, wanted).items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(writer(report), encoding="utf-8")
        except OSError as error:
            raise UserError(f"--perf-report: {path} cannot be written: {error.strerror}") from None


def write_page(run_file: Path, run: "RunFile") -> Path:
    """Write the page of a run beside its run file, and return its path.

    Raises:
        UserError: it cannot be written.
    """
    from perfgate.reports.page.assemble import page
    from perfgate.reports.page.content import content_of

    path = run_file.with_suffix(".html")
    try:
        write_no_link(path, page(content_of(run)))
    except OSError as error:
        raise UserError(f"--perf-html: {path} cannot be written: {error.strerror}") from None
    return path
