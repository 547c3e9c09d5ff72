"""How a case ended in pytest decides whether it is stored, by whatever it failed, and however often it ran."""

import json

import pytest

from perfgate.records.runfile import read
from tests.support.runs import perfgate

pytestmark = pytest.mark.untimed

UNFIT = """
def test_good(perf):
    perf(work(rounds=1))

def test_assert(perf):
    assert perf(work(rounds=1)).metrics["step_time_s"] < 0, "it is too slow"

def test_twice(perf):
    perf(work(rounds=1))
    perf(work(rounds=1))

@pytest.fixture
def falls():
    yield
    raise RuntimeError("cannot clean up")

def test_teardown(perf, falls):
    perf(work(rounds=1))

@pytest.fixture
def early(perf):
    perf(work(rounds=1))
    raise ValueError("not today")

def test_early(early):
    pass

@pytest.mark.xfail
def test_expected(perf):
    perf(work(rounds=1))
    assert False

def test_skipped(perf):
    perf(work(rounds=1))
    pytest.skip("on second thought")
"""
REASONS = {
    "assert": "it failed in its test: AssertionError: it is too slow",
    "twice": "it failed in its test: perf_tests/test_case.py::test_twice calls perf() twice; a case has one workload",
    "teardown": "it failed in its teardown: RuntimeError: cannot clean up",
    "early": "it failed in its set-up: ValueError: not today",
    "expected": "it failed in its test: assert False",
    "skipped": "it was skipped in its test: on second thought",
}

# As plugins that run failed tests again do: the reports of a failed attempt have an outcome of the plugin's own, and
# those behind it do not come. This one runs everything twice.
TWICE = """
from _pytest.runner import runtestprotocol


def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for attempt in (1, 2):
        for report in runtestprotocol(item, nextitem=nextitem, log=False):
            failed = report.failed
            if failed and attempt == 1:
                report.outcome = "rerun"
            item.ihook.pytest_runtest_logreport(report=report)
            if failed and attempt == 1:
                break
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def pytest_report_teststatus(report):
    if report.outcome == "rerun":
        return "rerun", "R", "RERUN"
"""
RERUN = """
from pathlib import Path

def attempt(name):
    before = Path(name).exists()
    Path(name).touch()
    return 2 if before else 1

def test_first(perf):
    perf(work(rounds=1))
    assert attempt("first") == 2

def test_second(perf):
    perf(work(rounds=1))
    assert attempt("second") == 1

def test_measured_once(perf):
    if attempt("once") == 1:
        perf(work(rounds=1))
"""


def stored(suite):
    """The cases that are stored, each with the number of its launches' sessions and times."""
    (path,) = suite.baselines
    rows = [row for row in json.loads(path.read_text())["rows"] if row]
    names = [row["case"].partition("::test_")[2] for row in rows if "session" not in row]
    times = [row["case"] for row in rows if "step_time_s" in row.get("metrics", {})]
    return {name: times.count(f"test_case.py::test_{name}") for name in names}


@pytest.mark.slice
@pytest.mark.launches(1)
def test_a_case_that_failed_by_anything_is_not_stored_and_one_line_says_what_was_stored_and_what_is_missing(suite):
    suite.write(UNFIT)
    result = suite.run("--perf-launches", "1", "--perf-update", "new", "-o", "console_output_style=classic")
    result.assert_outcomes(passed=2, failed=2, errors=2, xfailed=1, skipped=1)
    assert stored(suite) == {"good": 1}
    (line,) = [line for line in result.outlines if line.startswith("Stored: ")]
    assert line.startswith("Stored: 1 of 7 cases. Not stored: ")
    short = {case: reason.replace(f"perf_tests/test_case.py::test_{case} ", "") for case, reason in REASONS.items()}
    assert all(f"test_case.py::test_{case} ({reason})" in line for case, reason in short.items())
    assert "the times of 1 case, which need 5 launches from 3 sessions and have 1 launch from 1 session" in line
    assert line.endswith("-o console_output_style=classic --perf-update more")
    result.stdout.fnmatch_lines(["*FAILED test_case.py::test_assert: step_time_s *", "*FAILED *::test_twice: step_*"])
    told = " ".join(perfgate("report", suite.run_files[0]).stdout.replace("│", " ").split())
    assert all(f"failed test_case.py::test_{case} {reason}" in told for case, reason in REASONS.items())
    again = suite.run("-k", "good", "--perf-update", "new")
    again.stdout.fnmatch_lines(
        ["Stored: nothing of 1 case. Not stored: *::test_good (nothing in it is new). Not gated*"]
    )


@pytest.mark.slice
def test_a_case_that_another_plugin_runs_again_counts_once_and_its_last_result_stands(suite):
    suite.pytester.makeconftest(TWICE)
    suite.write(RERUN)
    result = suite.run("--perf-launches", "1", "--perf-update", "new", "--junitxml=report.xml")
    result.stdout.fnmatch_lines(
        ["[[]1/3] ok *::test_first: *", "2 cases measured, by metric: 4 new.", "Stored: 1 of 3 cases. Not stored: *"]
    )
    assert stored(suite) == {"first": 1}
    timed = [launch for launch in read(suite.run_files[0]).launches if launch.pass_name == "time"]
    assert sorted(launch.case for launch in timed if not launch.invalid) == [
        f"test_case.py::test_{name}" for name in ("first", "measured_once", "second")
    ]
    properties = (suite.path / "report.xml").read_text().partition("test_second")[0]
    assert properties.count('name="step_time_s"') == 1
