"""Reports of other plugins show every verdict, of passed cases too; each test reads what such a plugin wrote."""

import csv
import html
import json
import re
from importlib.util import find_spec

import pytest

pytestmark = pytest.mark.untimed

CASES = """
def test_kept(effect):
    effect(work(rounds=1), work(rounds=2), python_calls="< 2x")

def test_lost(effect):
    effect(work(rounds=1), work(rounds=2), python_calls="< 0.5x")
"""
VERDICTS = {"test_kept": ("pass: ", "< 2x"), "test_lost": ("regressed: ", "< 0.5x")}


def needs(module):
    """Skip a test where a plugin is not installed."""
    return pytest.mark.skipif(find_spec(module) is None, reason=f"{module} is not installed")


def shown(text, name):
    """Whether a text is the verdict on a case."""
    word, promise = VERDICTS[name]
    return text.startswith(word) and promise in text


@pytest.fixture(params=[(), ("-n", "1")], ids=["here", "in a worker"])
def run(request, suite):
    """Run both cases with another plugin, which this suite's other runs do without."""
    suite.write(CASES)

    def with_plugins(*plugins_and_options):
        suite.run(*plugins_and_options, *request.param).assert_outcomes(passed=1, failed=1)
        return suite.path

    return with_plugins


@needs("pytest_html")
@pytest.mark.slice
def test_pytest_html(run):
    folder = run("-p", "metadata", "-p", "html", "--html=report.html", "--self-contained-html")
    blob = re.search(r'data-jsonblob="([^"]*)"', (folder / "report.html").read_text())[1]
    tests = json.loads(html.unescape(blob))["tests"]
    assert len(tests) == 2
    for name, found in tests.items():
        (row,) = found
        (extra,) = row["extras"]
        (text,) = re.findall(r"<tr><th>python_calls</th><td>(.*?)</td></tr>", extra["content"])
        assert shown(html.unescape(text), name.rpartition("::")[2])
        assert text == html.escape(html.unescape(text))


@needs("allure_pytest")
@pytest.mark.slice
def test_allure(run):
    folder = run("-p", "allure_pytest", "--alluredir=allure") / "allure"
    results = [json.loads(path.read_text()) for path in folder.glob("*-result.json")]
    assert {result["name"] for result in results} == set(VERDICTS)
    for result in results:
        (attached,) = result["attachments"]
        assert attached["type"] == "text/csv"
        with (folder / attached["source"]).open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert row["metric"] == "python_calls"
        assert shown(row["verdict"], result["name"])


@needs("pytest_jsonreport")
def test_pytest_json_report(run):
    plugins = ("-p", "metadata", "-p", "pytest_jsonreport")
    folder = run(*plugins, "--json-report", "--json-report-file=report.json")
    tests = json.loads((folder / "report.json").read_text())["tests"]
    assert len(tests) == 2
    for test in tests:
        properties = {name: value for found in test["user_properties"] for name, value in found.items()}
        assert shown(properties["verdict.python_calls"], test["nodeid"].rpartition("::")[2])
