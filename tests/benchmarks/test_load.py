"""The benchmark of other processes' load: what it makes of recorded duets."""

import random

import pytest

from benchmarks.gate.load import rows, told_of
from perfgate.gate.duets import Duet
from perfgate.records.clocks import Times
from perfgate.records.launch import Launch


@pytest.mark.parametrize(("spread", "slowdown", "caught"), [(0.005, 0.0, "0.0%"), (0.005, 0.05, "100.0%")])
def test_identical_sides_raise_no_alarm_and_a_slowdown_is_caught(spread, slowdown, caught):
    source = random.Random(1)
    duets = [Duet(source.gauss(0.0, spread), f"servers {number % 2}") for number in range(12)]
    assert told_of(duets, slowdown, 50).startswith(f"{caught} (")


def launch(side, computed_s):
    metrics = {"step_time_s": [0.2] * 3, "queue_time_s": [0.1] * 3, "idle_time_s": [0.0] * 3}
    other = Times({"step_time_s": [computed_s] * 3}, [0.01] * 3)
    return Launch("case", "hash", 0, metrics, side=side, yardstick_s=[0.02] * 3, pass_name="time", other=other)


def test_the_table_has_a_line_for_each_clock_and_marks_the_chosen_one(capsys):
    duets = [(launch("reference", 0.1), launch("candidate", 0.1 + number * 1e-4)) for number in range(3)]
    solo = [launch("candidate", 0.1 + number * 1e-3) for number in range(3)]
    rows(2, 5, duets, solo, 1, 20)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[2] for line in lines] == ["wall", "processor (chosen)"]
    assert all(line.split(" | ")[3] == "50%" for line in lines)
    rows(2, 5, duets[:1], solo, 1, 20)
    assert capsys.readouterr().out == ""
