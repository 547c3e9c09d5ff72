"""A workload of several cases runs dry once in a run; a program of somebody else's runs dry for each case."""

import pytest

from perfgate.records.runfile import read

pytestmark = pytest.mark.untimed

NONE = ("--perf-device", "none")
SAME = """
@pytest.mark.parametrize("number", range(4))
def test_same(perf, operator, number):
    perf(operator("linear", batch_size=8, inputs=8, outputs=8))


def test_other(perf, operator):
    perf(operator("linear", batch_size=8, inputs=8, outputs=16))
"""
OWN = """
@pytest.mark.parametrize("number", range(2))
def test_own(perf, number):
    perf(Workload("own_programs:Counted", {}))
"""
PROGRAM = """
from pathlib import Path

import torch

from perfgate import Program


class Counted(Program):
    def __init__(self, device):
        with Path({path!r}).open("a") as file:
            file.write("built\\n")
        self.weights = torch.ones(4, 4)

    def step(self):
        return self.weights @ self.weights
"""


def launches(suite):
    """The launches of the last run, by case."""
    return {launch.case: launch for launch in read(suite.run_files[-1]).launches if launch.pass_name == "dry"}


@pytest.mark.parametrize("workers", [(), pytest.param(("-n", "2"), marks=pytest.mark.slice)])
@pytest.mark.slice
def test_cases_of_one_workload_have_one_answer(suite, workers):
    suite.write(SAME)

    suite.run(*NONE, *workers).assert_outcomes(passed=5)

    found = launches(suite)
    same = [found[f"test_case.py::test_same[{number}]"] for number in range(4)]
    assert len({str(launch.metrics) for launch in same}) == 1
    assert found["test_case.py::test_other"].metrics != same[0].metrics


@pytest.mark.slice
def test_a_program_of_ones_own_may_read_what_changes_between_cases(suite):
    log = suite.path / "log"
    (suite.path / "own_programs.py").write_text(PROGRAM.format(path=str(log)))
    suite.write(OWN)

    suite.run(*NONE).assert_outcomes(passed=2)

    assert log.read_text().count("built") >= 2 * len(launches(suite)) > 2
