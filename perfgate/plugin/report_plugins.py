"""Shows verdicts in the reports of plugins that do not show pytest's user properties by themselves.

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
    """A property for each metric's verdict, such as ``verdict.step_time_s``: the verdict, change, values and interval.

    If an effect has several bounds on one metric, a bound that does not hold comes first.
    """
    found: dict[str, str] = {}
    for verdict in promises(verdicts):
        name = f"{PROPERTY}{verdict.metric}"
        told = [f"{counted_as(verdict)}: {in_short(verdict)}", *filter(None, [found.get(name)])]
        found[name] = "; ".join(told if verdict.verdict in FAILING else reversed(told))
    return found


def verdicts_among(properties: Iterable[tuple[str, Any]]) -> Rows:
    """The metric and the verdict in each user property that holds a verdict."""
    return [(name.removeprefix(PROPERTY), str(value)) for name, value in properties if name.startswith(PROPERTY)]


def show_in_html(config: pytest.Config, report: Any) -> None:
    """Add a table of verdicts to a test in pytest-html's report, with all text escaped."""
    rows = verdicts_among(report.user_properties)
    if not (rows and config.pluginmanager.hasplugin("html")):
        return
    cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows)
    # The form that pytest_html.extras.html makes.
    extra = {"name": TITLE, "format_type": "html", "content": f"<table><caption>{TITLE}</caption>{cells}</table>"}
    report.extras = [*getattr(report, "extras", ()), {**extra, "mime_type": None, "extension": None}]


def attach_to_allure(config: pytest.Config, properties: Iterable[tuple[str, Any]]) -> None:
    """Attach a table of verdicts to the running test if the run writes an Allure report."""
    rows = verdicts_among(properties)
    if not (rows and config.pluginmanager.hasplugin("allure_listener")):
        return
    import allure

    table = io.StringIO()
    csv.writer(table).writerows([("metric", "verdict"), *rows])
    allure.attach(table.getvalue(), TITLE, allure.attachment_type.CSV)
