"""Instruments and formats that a stranger's repository adds by hooks, from the example in the documents."""

import json
import shutil
import subprocess
import sys

import pytest

from perfgate.records.runfile import read
from tests import ROOT

pytestmark = pytest.mark.untimed

EXAMPLE = ROOT / "docs" / "examples" / "extensions"
PAGE = ROOT / "docs" / "extending.md"


@pytest.fixture
def example(suite):
    """A copy of the example, in a folder that has never heard of this repository."""
    shutil.copytree(EXAMPLE, suite.path, dirs_exist_ok=True)
    return suite


def measured(suite, *options):
    """Run the suite, whose timings a loaded machine may make invalid, so that a case is skipped."""
    outcomes = suite.run(*options).parseoutcomes()
    assert outcomes.get("passed", 0) + outcomes.get("skipped", 0) == 1
    assert not {"failed", "errors"} & set(outcomes)


@pytest.mark.launches(1)
def test_an_instrument_and_a_format_of_ones_own_are_used_by_a_run(example):
    measured(example, "--perf-report", "html=out/report.html", "--perf-report", "markdown=report.md")

    timed = [launch for launch in read(example.run_files[-1]).launches if launch.pass_name == "time"]
    assert timed
    for launch in timed:
        assert len(launch.metrics["context_switches"]) == len(launch.metrics["step_time_s"])
    page = (example.path / "out" / "report.html").read_text()
    assert page.startswith("<!doctype html>")
    assert "test_sums.py::test_sums" in page
    assert "**Nothing was decided: 1 of 1 case is new" in (example.path / "report.md").read_text()


def test_outside_of_pytest_the_format_is_named_by_its_import_path(example):
    measured(example, "--perf-report", "html=report.html")
    command = [sys.executable, "-m", "perfgate", "report", str(example.run_files[-1]), "--format", "page:html"]

    done = subprocess.run(command, cwd=example.path, capture_output=True, text=True, check=True)

    assert done.stdout == (example.path / "report.html").read_text()


def test_the_page_shows_the_example_as_it_is():
    told = PAGE.read_text()
    assert (EXAMPLE / "conftest.py").read_text().partition("\n\n\n")[2] in told
    instrument = (
        (EXAMPLE / "switches.py").read_text().partition("class ContextSwitches")[2].partition("    def count")[0]
    )
    assert instrument.strip() in told


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("nowhere:Joules", "instrument nowhere:Joules cannot be imported: No module named 'nowhere'"),
        ("programs:Spin", "instrument programs:Spin is no subclass of perfgate.actor.instruments.Instrument"),
    ],
)
def test_an_instrument_that_is_none_fails_the_case_and_is_named(suite, returned, message):
    suite.write("def test_it(perf):\n    perf(work())")
    (suite.path / "conftest.py").write_text(f"def pytest_perfgate_instruments(config): return [{returned!r}]")
    done = suite.run()
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines([f"*could not be measured: *{message}*"])


@pytest.mark.parametrize(
    ("conftest", "option", "message"),
    [
        ("", "pdf=x", "--perf-report: unknown format 'pdf'; it may be terminal, markdown, csv, json"),
        ("", "markdown", "--perf-report is 'markdown'; it must be FORMAT=FILE, like markdown=report.md"),
        ("", "no:where=x", "format no:where cannot be imported: No module named 'no'"),
        (
            "def pytest_perfgate_instruments(config): return ['joules']",
            "markdown=report.md",
            "pytest_perfgate_instruments returned 'joules'; it must be an import path module:Class",
        ),
    ],
)
def test_a_format_or_an_instrument_that_cannot_be_is_refused_before_the_first_case(suite, conftest, option, message):
    suite.write("def test_it(perf):\n    perf(work())")
    (suite.path / "conftest.py").write_text(conftest)
    done = suite.run("--perf-report", option)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: {message.replace('[', '?')}*"])
    assert not suite.run_files


def test_a_report_is_written_by_the_controller_of_xdist(example):
    measured(example, "-n", "1", "--perf-report", "json=report.json")

    (run,) = json.loads((example.path / "report.json").read_text())["runs"]
    assert [row["case"] for row in run["settings"]] == ["test_sums.py::test_sums"]
