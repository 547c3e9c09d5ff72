"""The hooks by which a package or a ``conftest.py`` adds to Perfgate: instruments, and formats of reports.

Hooks return import paths and no objects: instruments are imported in the actors, where torch is, and formats only
where a report is written. ``docs/extending.md`` walks through an example of each.
"""

from collections.abc import Mapping, Sequence

import pytest


@pytest.hookspec
def pytest_perfgate_instruments(config: pytest.Config) -> Sequence[str]:  # type: ignore[empty-body]
    """Instruments to read further metrics with, as ``["my_package.instruments:Joules"]``.

    Each is the import path of a subclass of ``perfgate.actor.instruments.Instrument``, whose ``passes`` say in which
    passes it takes part. It is imported in every actor of these passes, also in the interpreter of a reference. A
    metric that Perfgate does not know is written to the run file and reported, but never fails a case.

    Args:
        config: pytest's configuration, to read options of your own.
    """


@pytest.hookspec
def pytest_perfgate_formats(config: pytest.Config) -> Mapping[str, str]:  # type: ignore[empty-body]
    """Formats for ``--perf-report FORMAT=FILE``, by name, as ``{"html": "my_package.reports:html"}``.

    Each is the import path of a function that takes a ``perfgate.reports.report.Report`` and returns the text of the
    file. ``perfgate report --format my_package.reports:html`` writes the same text outside of pytest.

    Args:
        config: pytest's configuration, to read options of your own.
    """
