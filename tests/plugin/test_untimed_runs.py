"""Runs that take no times (``--perf-launches 0``): all that repeats exactly is measured and decided, and no more."""

import shutil

import pytest

from perfgate.records.runfile import read
from perfgate.reports.page.rows import case_rows
from tests import SUPPORT
from tests.support.layers import MODELS

pytestmark = pytest.mark.untimed

NO_TIMES = ("--perf-launches", "0")
SAID = "No times were taken, as --perf-launches is 0."
CASE = """
@pytest.mark.perf(launches=4)
def test_it(perf):
    perf(Workload("calling_programs:LooksUp", {}))
"""

LIGHTER = """
from perfgate.actor.programs.base import Program

class Lighter(Program):
    def __init__(self, device):
        self.samples = 1

    def drive(self, pace):
        while True:
            pace.begin()
            pace.end(None, {"peak_memory_bytes": 1000})
"""


@pytest.fixture
def calling(suite):
    """A suite with one case, whose program looks something up."""
    shutil.copy(SUPPORT / "calling_programs.py", suite.path)
    suite.write(CASE)
    return suite


def passes(suite):
    """The names of the passes of the newest run."""
    return {launch.pass_name for launch in read(suite.run_files[-1]).launches}


@pytest.mark.slice
def test_more_work_of_python_fails_where_no_times_are_taken(calling):
    first = calling.run(*NO_TIMES, "--perf-update", "new")
    first.assert_outcomes(passed=1)
    assert SAID in first.outlines
    assert passes(calling) == {"counters", "memory"}
    again = calling.run(*NO_TIMES)
    again.assert_outcomes(passed=1)
    again.stdout.fnmatch_lines(["Decided: all *"])
    (calling.path / "grown").touch()
    worse = calling.run(*NO_TIMES)
    worse.assert_outcomes(failed=1)
    worse.stdout.fnmatch_lines(["*python_calls got worse by *grown: calling_programs.py:*"])


@pytest.mark.slice
def test_stored_times_are_undecided_and_nothing_is_stored_beside_them(calling):
    calling.run("--perf-launches", "1", "--perf-update", "new").assert_outcomes(passed=1)
    before = calling.baselines[0].read_text()
    assert "step_time_s" in before
    plain = calling.run(*NO_TIMES)
    plain.assert_outcomes(passed=1, warnings=1)
    plain.stdout.fnmatch_lines(["*step_time_s is undecided (stored, but not measured in this run*"])
    for mode in (["more"], ["all", "--perf-reason", "why"]):
        told = calling.run(*NO_TIMES, "--perf-update", *mode)
        told.assert_outcomes(passed=1, warnings=1)
        told.stdout.fnmatch_lines(["Stored: nothing of 1 case. Not stored: *its stored times were not taken again*"])
        assert calling.baselines[0].read_text() == before


def test_an_effect_that_promises_a_time_says_that_none_was_taken(suite):
    suite.write(
        """
def test_time(effect):
    effect(work(rounds=50), work(rounds=10), step_time_s="< 0.9x")

def test_both(effect):
    effect(work("Weighed"), Workload("lighter:Lighter", {}), peak_memory_bytes="< 0.9x", step_time_s="< 5x")
"""
    )
    (suite.path / "lighter.py").write_text(LIGHTER)
    result = suite.run(*NO_TIMES, "-rs")
    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(
        ["*test_time*could not be measured: this run takes no times; leave out --perf-launches 0*"]
    )
    told = {(verdict.case[-4:], verdict.metric): verdict.verdict for verdict in read(suite.run_files[-1]).verdicts}
    assert told["both", "peak_memory_bytes"] == "pass"
    assert told["both", "step_time_s"] == told["time", "step_time_s"] == "invalid"


@pytest.mark.slice
def test_a_promise_that_was_not_asked_is_neither_undecided_nor_passed(suite):
    (suite.path / "models.py").write_text(MODELS)
    sides = 'Workload("models:Layers", {}), Workload("models:Single", {})'
    suite.write(f"def test_both(effect):\n    effect({sides}, weights_bytes='< 0.9x', step_time_s='< 5x')")
    suite.run("--perf-device", "none", "--perf-html", "auto").assert_outcomes(passed=1)
    (page,) = (suite.path / "perf_output").glob("*.html")
    told = "Not all was asked in 1 case: a dry run does not measure it; leave out --perf-device none."
    assert f"None of 1 decided case got worse than the stored baseline. {told}" in page.read_text()
    run = read(suite.run_files[-1])
    assert [row.verdict for row in case_rows(run, run.verdicts, ends=True)] == ["partly"]


@pytest.mark.parametrize("number", ["-1", "1.5", "none", ""])
def test_what_is_no_number_of_launches_is_refused(suite, number):
    suite.write("def test_it(perf):\n    perf(work())")
    refused = suite.run(f"--perf-launches={number}")
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    refused.stderr.fnmatch_lines(["*--perf-launches is *; it must be a whole number, 0 or more*"])


SOMETIMES = """
import torch
from pathlib import Path
from perfgate.actor.programs.base import Program

class Sometimes(Program):
    def __init__(self, device):
        self.value, self.steps, self.looks = torch.ones(1, device=device.torch_device), 0, Path("grown").exists()

    def step(self):
        self.steps += 1
        if self.looks and self.steps % 2:
            self.value.item()
        return self.value
"""


@pytest.mark.slice
def test_a_wait_in_some_steps_alone_is_told_as_a_share(suite):
    (suite.path / "sometimes.py").write_text(SOMETIMES)
    suite.write('def test_it(perf):\n    perf(Workload("sometimes:Sometimes", {}))\n')
    suite.run(*NO_TIMES, "--perf-update", "new").assert_outcomes(passed=1)
    (suite.path / "grown").touch()
    worse = suite.run(*NO_TIMES)
    worse.assert_outcomes(failed=1)
    worse.stdout.re_match_lines([r".*host_syncs got worse \(0\.\d+, baseline 0; "])
