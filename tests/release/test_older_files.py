"""What an earlier version of Perfgate wrote is read, and taken for what it was."""

from pathlib import Path

import pytest

from perfgate.gate.against_baseline import against_baseline
from perfgate.gate.against_run import compare
from perfgate.records.baseline_files import load_file
from perfgate.records.launch import Launch
from perfgate.records.runfile import read
from perfgate.shared.metrics import METRICS, PYTHON_CALLS

OLD = Path(__file__).parent / "written_by_0_1_0"


@pytest.mark.parametrize("name", ["machine.json", "portable.json"])
def test_baselines_of_0_1_0_are_read_with_all_their_launches(name: str) -> None:
    found = load_file(OLD / name, OLD)

    assert found
    assert all(baseline.launches and baseline.workload for baseline in found.values())
    assert {metric for baseline in found.values() for metric in baseline.metrics} <= METRICS.keys()


def test_a_run_file_of_0_1_0_is_read_and_its_numbers_are_those_that_it_wrote() -> None:
    run = read(OLD / "run.jsonl")

    assert run.header["software"]["perfgate"] == "0.1.0"
    assert len(run.launches) == 6
    assert {launch.value("step_time_s") > 0 for launch in run.launches} == {True}


def test_a_run_file_of_0_1_0_compared_with_itself_is_no_regression() -> None:
    cases = {"case": read(OLD / "run.jsonl").launches}
    verdicts = compare(cases, cases, {})

    assert "step_time_s" in {verdict.metric for verdict in verdicts}
    assert {verdict.verdict for verdict in verdicts} & {"regressed", "stale", "new"} == set()


def test_what_0_1_0_counted_otherwise_is_not_compared() -> None:
    stored = next(iter(load_file(OLD / "portable.json", OLD).values()))
    launch = Launch(stored.case, stored.workload, 0, {PYTHON_CALLS: 5}, pass_name="counters")
    (verdict,) = against_baseline(stored.case, stored.workload, [launch], stored, {}, pairs=1)

    assert (verdict.metric, verdict.verdict, verdict.way_since) == (PYTHON_CALLS, "new", "0.2.0")
    assert stored.metrics == [PYTHON_CALLS]
    assert stored.values(PYTHON_CALLS) == {}
