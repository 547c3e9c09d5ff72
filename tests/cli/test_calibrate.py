"""A calibration from end to end: recorded, put to the rule, stored, drawn."""

import json
from xml.etree import ElementTree

import pytest

from perfgate.cases.noise_file import read_noise
from perfgate.records.runfile import read
from tests.support.runs import perfgate

CASES = """
@pytest.mark.parametrize("rounds", [4, 5, 6])
def test_it(perf, rounds):
    perf(work(rounds=rounds))
"""


def test_a_machine_is_held_against_itself_and_against_slowdowns_that_were_put_in(suite):
    suite.write(CASES)
    asked = ("--duets", "4", "--slowdowns", "0,0.03,0.1", "--draws", "50")
    done = perfgate("calibrate", *asked, "--json", "--", "perf_tests", cwd=suite.path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [[seen["slowdown"] for seen in case["detections"]] for case in found["cases"]] == [[0.0, 0.03, 0.1]] * 3
    run = read(found["run"] if found["run"].startswith("/") else suite.path / found["run"])
    halves = [launch for launch in run.launches if not launch.invalid]
    assert len(halves) >= 2 * 3 * 3 * 4
    (sheet,) = (line for line in run.others if line["kind"] == "timesheet")
    assert sheet["programs_s"] > sheet["setups_s"] > 0
    by_pair = {}
    for launch in halves:
        by_pair.setdefault((launch.case, launch.pair), []).append(launch)
    for reference, candidate in (pair for pair in by_pair.values() if len(pair) == 2):
        assert reference.server != candidate.server
        assert (reference.side, candidate.side) == ("reference", "candidate")
    assert ElementTree.parse(suite.path / found["picture"]).getroot().tag.endswith("svg")
    stored = read_noise((suite.path / found["noise_file"]).parent)
    noise = stored.processor or stored  # learned on the clock that the duets were judged on
    assert (noise.cases, stored.machine) == (3, run.header["machine"]["name"])
    again = perfgate("calibrate", "--draws", "50", "--from", found["run"], cwd=suite.path)
    assert again.returncode == 0
    for part in (
        "false",
        "alarms",
        "10%",
        "slower",
        "caught",
        "can",
        "see",
        "noise.json",
    ):  # a head may take several lines
        assert part in again.stdout
    # What was put in is in the times: at 10% the candidate's are plainly longer, whatever else has the core.
    ratios = [
        pair[1].on("processor").value("step_time_s") / pair[0].on("processor").value("step_time_s")
        for pair in by_pair.values()
        if len(pair) == 2 and pair[1].details.turns.injected == 0.1
    ]
    assert sum(ratio > 1.02 for ratio in ratios) > len(ratios) / 2


@pytest.mark.untimed
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--duets", "2"], "--duets is 2; a screen and a first look take 4"),
        (["--slowdowns", "0,1"], "--slowdowns is '0,1'; it must be shares of a step's time with commas between them"),
        (["--from", "nowhere.jsonl"], "nowhere.jsonl"),
        (["--", "perf_tests/nothing.py"], "measured nothing"),
    ],
)
@pytest.mark.slice
def test_a_wrong_call_is_one_sentence(suite, arguments, message):
    done = perfgate("calibrate", *arguments, cwd=suite.path)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
