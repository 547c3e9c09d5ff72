"""What has baselines and is not judged must not look like a pass: the last lines name it, and a strict run fails."""

import pytest

from tests.support.repositories import begin, change

pytestmark = pytest.mark.untimed
CASES = """
@pytest.mark.parametrize("rounds", [1, 2])
def test_it(perf, rounds):
    perf(work(rounds=rounds))


def test_other(perf):
    perf(work(rounds=3))
"""
LEFT = CASES.replace("[1, 2]", "[1]").replace("def test_other", '@pytest.mark.skip(reason="flaky")\ndef test_other')
SKIPPED = "Not judged, though baselines are stored: 1 case was skipped (test_case.py::test_other): flaky"
GONE = (
    "Not judged, though baselines are stored: 1 case is no longer there (test_case.py::test_it[[]2[]]). If that is "
    "meant, remove the baselines with: perfgate baselines prune --yes"
)


@pytest.fixture
def left(suite):
    """A suite with three stored cases, of which one is now skipped and one gone."""
    suite.write(CASES)
    suite.run("--perf-update", "new").assert_outcomes(passed=3)
    suite.write(LEFT)
    return suite


@pytest.mark.slice
def test_what_was_skipped_and_what_is_gone_is_named_and_a_strict_run_fails(left):
    run = left.run("-n", "2", "-p", "xdist")
    only = left.run("-k", "nothing_of_that_name")
    strict = left.run("--perf-strict", "--deselect", "perf_tests/test_case.py::test_it[1]")

    run.stdout.fnmatch_lines([SKIPPED, GONE])
    only.stdout.fnmatch_lines([GONE])
    only.stdout.no_fnmatch_line("*was skipped*")
    strict.stdout.fnmatch_lines([SKIPPED, "ERROR: cases with baselines were not judged; see above"])
    assert strict.ret == pytest.ExitCode.TESTS_FAILED


def test_a_run_of_named_cases_takes_none_for_gone(left):
    result = left.pytester.runpytest_subprocess("perf_tests/test_case.py::test_it[1]")
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("Not judged*")


@pytest.mark.slice
def test_beside_a_reference_whatever_was_skipped_is_named_and_so_is_what_is_gone(left):
    begin(left.path)
    change(left.path)
    run = left.run("--perf-ref", "HEAD", "--perf-strict", "--perf-launches", "0")
    run.stdout.fnmatch_lines([SKIPPED, GONE, "ERROR: cases with baselines were not judged; see above"])
    assert run.ret == pytest.ExitCode.TESTS_FAILED


def test_beside_a_reference_cases_that_were_all_skipped_do_not_look_like_a_pass(suite):
    suite.write(LEFT)
    begin(suite.path)
    change(suite.path)
    run = suite.run("--perf-ref", "HEAD", "-k", "other")
    run.stdout.fnmatch_lines(["Not judged: 1 case was skipped (test_case.py::test_other): flaky"])
