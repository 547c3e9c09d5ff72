"""Cases beside busy processes on the actors' core: they are decided all the same, and who had the core is said."""

import json
import re

import pytest

from perfgate.records.runfile import read
from tests.support.load import busy
from tests.support.runs import perfgate

# A step takes longer than the turn of a process on a shared core, so each launch waits.
CASE = """
def test_it(perf):
    perf(work(rounds=400, factor_file="factor"))
"""


@pytest.fixture
def beside(request):
    """The ids of two busy processes on the actors' core."""
    with busy(2) as pids:
        yield pids


def timed(suite):
    """The timed launches of the newest run."""
    return [launch for launch in read(suite.run_files[-1]).launches if launch.pass_name == "time"]


def verdicts(suite):
    """The verdicts of the newest run, by metric."""
    return {verdict.metric: verdict for verdict in read(suite.run_files[-1]).verdicts}


@pytest.mark.slice
def test_a_loaded_machine_measures_judges_and_names_who_had_the_core(suite, beside):
    suite.write(CASE)
    suite.run("--perf-update", "new").assert_outcomes(passed=1)
    for _ in range(2):
        assert suite.run("--perf-update", "more").ret == 0
    rows = [row for row in json.loads(suite.baselines[0].read_text())["rows"] if "session" in row]
    assert all(row["waited"] > 0.1 for row in rows)
    # Half of the steps may have waited for nothing, and then both clocks tell the same, up to their grain.
    assert all(row["processor"]["step_time_s"][0] < 1.01 * row["metrics"]["step_time_s"][0] for row in rows)
    same = suite.run()
    same.assert_outcomes(passed=1)  # it passes, or is undecided, which a run of nothing else says by its exit code
    assert same.ret == int({verdict.verdict for verdict in verdicts(suite).values()} == {"inconclusive"})
    assert [launch.clock for launch in timed(suite)] == ["processor"] * 2
    assert not any(launch.invalid for launch in timed(suite))
    found = re.search(
        r"on processor time: other processes took (\d+)% of the core \((.*?)\)", verdicts(suite)["step_time_s"].why
    )
    assert int(found[1]) > 10
    assert any(f" {pid}" in found[2] for pid in beside)
    (suite.path / "factor").write_text("20")
    slower = suite.run()
    slower.assert_outcomes(failed=1)
    slower.stdout.fnmatch_lines(
        ["*step_time_s got worse by *on processor time: other processes took *% of the core (*"]
    )


@pytest.mark.parametrize("nice", [0, 5])
@pytest.mark.slice
def test_a_doubled_step_is_seen_beside_its_reference_at_any_priority(suite, beside, nice):
    suite.write(
        f"""
import os
os.nice({nice})

@pytest.mark.parametrize("rounds", [390, 800])
def test_it(effect, rounds):
    effect(work(rounds=400), work(rounds=rounds), step_time_s="< 1.5x")
"""
    )
    suite.run().assert_outcomes(passed=1, failed=1)
    found = {verdict.case[-5:]: verdict for verdict in read(suite.run_files[-1]).verdicts}
    assert found["[800]"].verdict == "regressed"
    # A virtual machine that stands still within a duet can leave this one open; it is never a regression.
    assert found["[390]"].verdict in ("pass", "inconclusive")
    assert all("on processor time: other processes took" in verdict.why for verdict in found.values())
    halves = [launch for launch in read(suite.run_files[-1]).launches if launch.pair is not None]
    assert {launch.clock for launch in halves} == {"processor"}


@pytest.mark.slice
def test_what_sleeps_is_undecided_on_processor_time_and_its_memory_stays(suite, beside):
    suite.write("def test_it(effect):\n    effect(work('Sleep'), work('Sleep', rounds=19), step_time_s='< 1.5x')")
    suite.run().assert_outcomes(passed=1, warnings=1)
    (verdict,) = read(suite.run_files[-1]).verdicts
    assert verdict.verdict == "inconclusive"
    assert "it neither computed nor waited for the core" in verdict.why


@pytest.mark.slice
def test_a_step_with_helpers_is_not_judged_on_the_time_of_one_process(suite, beside):
    suite.write("def test_it(perf):\n    perf(work('Helped'))")
    suite.run()
    for launch in timed(suite):
        assert launch.other is None
        assert launch.waited is None
        assert launch.invalid is None or launch.invalid.startswith(("contended: other processes took ", "unsteady"))


@pytest.mark.slice
def test_where_no_clock_serves_the_other_verdicts_stand_and_the_process_is_named(suite):
    suite.write("def test_it(perf):\n    perf(work('Weighed'))")
    options = ("--perf-launches", "1")
    suite.run(*options, "--perf-update", "new").assert_outcomes(passed=1)
    (suite.path / "helped").write_text("")
    with busy(3) as pids:
        result = suite.run(*options)
    result.assert_outcomes(passed=1, warnings=1)
    assert verdicts(suite)["peak_memory_bytes"].verdict == "pass"
    time = verdicts(suite)["step_time_s"]
    assert time.verdict == "invalid"
    assert re.match(r"contended: other processes took \d+% of the core \(", time.why)
    assert any(f" {pid}" in time.why for pid in pids)
    suite.run(*options, "--perf-strict").assert_outcomes(failed=1)


@pytest.mark.slice
def test_calibration_beside_load_learns_the_noise_of_that_clock(suite, beside):
    suite.write(
        "@pytest.mark.parametrize('rounds', [40, 50, 60])\ndef test_it(perf, rounds):\n    perf(work(rounds=rounds))"
    )
    done = perfgate("calibrate", "--duets", "4", "--slowdowns", "0", "--draws", "20", "--json", cwd=suite.path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["clock"] == "processor"
    assert found["waited"] > 0.1
    noise = json.loads((suite.path / found["noise_file"]).read_text())
    assert (noise["cases"], noise["processor"]["cases"]) == (0, 3)
    again = perfgate("calibrate", "--from", found["run"], "--draws", "20", cwd=suite.path)
    assert "Duets were judged on processor time: other processes took" in again.stdout


@pytest.mark.untimed
def test_a_calibration_without_usable_duets_fails_with_the_reason(suite):
    suite.write("def test_it(perf):\n    perf(work('Exit'))")
    done = perfgate("calibrate", "--duets", "4", "--slowdowns", "0", cwd=suite.path)
    assert done.returncode == 2
    assert "holds too few duets that can be used: 4 of 4 could not be used" in done.stderr.splitlines()[-1]
    assert not list((suite.path / "perf_output").glob("*.svg"))
