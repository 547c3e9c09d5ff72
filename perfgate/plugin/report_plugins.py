"""Shows verdicts in reports of other plugins that do not show pytest's user properties by themselves.

JUnit files and pytest-json-report show user properties. pytest-html shows a report's ``extras``, and allure-pytest the
attachments of a test; neither is imported unless a run asked for its report.
"""

import csv
import html
import io
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from perfgate.gate.wording import FAILING, PROPERTY, counted_as, in_short, promises
from perfgate.records.verdict import Verdict

TITLE = "Verdicts of Perfgate"
Rows = list[tuple[str, str]]


def decided(verdicts: Sequence[Verdict]) -> dict[str, str]:
    """The verdict on each metric as a property, ``verdict.step_time_s``: the word, then change, values and interval.

    Of an effect's bounds on one metric, what does not hold comes first.
    """
    found: dict[str, str] = {}
    for verdict in promises(verdicts):
        name = f"{PROPERTY}{verdict.metric}"
        told = [f"{counted_as(verdict)}: {in_short(verdict)}", *filter(None, [found.get(name)])]
        found[name] = "; ".join(told if verdict.verdict in FAILING else reversed(told))
    return found


def verdicts_among(properties: Iterable[tuple[str, Any]]) -> Rows:
    """Metric and verdict of each user property that tells one."""
    return [(name.removeprefix(PROPERTY), str(value)) for name, value in properties if name.startswith(PROPERTY)]


def show_in_html(config: pytest.Config, report: Any) -> None:
    """Add the verdicts to what pytest-html shows of a test: a table, in which all text is escaped."""
    rows = verdicts_among(report.user_properties)
    if not (rows and config.pluginmanager.hasplugin("html")):
        return
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows)
    # As pytest_html.extras.html makes it.
    extra = {"name": TITLE, "format_type": "html", "content": f"<table><caption>{TITLE}</caption>{cells}</table>"}
    report.extras = [*getattr(report, "extras", ()), {**extra, "mime_type": None, "extension": None}]


def attach_to_allure(config: pytest.Config, properties: Iterable[tuple[str, Any]]) -> None:
    """Attach the verdicts to the test that is running: a table, where the run writes a report of Allure."""
    rows = verdicts_among(properties)
    if not (rows and config.pluginmanager.hasplugin("allure_listener")):
        return
    import allure

    table = io.StringIO()
    csv.writer(table).writerows([("metric", "verdict"), *rows])
    allure.attach(table.getvalue(), TITLE, allure.attachment_type.CSV)
