"""Runs over workers of xdist refuse early what one process refuses early, and lose nothing of what was measured."""

import json

import pytest

from perfgate.records.runfile import clear_away, merge
from perfgate.system.claims import claimed
from tests.support.runs import CASE, header, launch_line, workload_line

CASES = """
@pytest.mark.parametrize("number", range(2))
def test_many(perf, number):
    perf(work("Spin"), tolerance=5.0)
"""


@pytest.mark.untimed
def test_what_cannot_be_stored_is_refused_before_any_worker_collects(suite):
    suite.write(CASES)
    (suite.path / "baselines").write_text("a file in the place of the folder")
    result = suite.run("-n", "2", "--perf-update", "new")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*baselines cannot be stored: *"])
    assert not suite.run_files
    assert "items]" not in result.stdout.str()  # no worker collected


def test_parts_are_cleared_away_only_when_all_processes_of_their_run_are_gone(tmp_path):
    part = tmp_path / "run.gw0.part"
    part.touch()
    (tmp_path / "run.gw0.claim").touch()  # its worker was killed
    with claimed(tmp_path / "run.claim"):
        clear_away(tmp_path)
        assert part.exists()
    (tmp_path / "run.claim").touch()
    clear_away(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_case_of_which_a_line_is_missing_is_told_apart_from_one_that_is_whole(tmp_path):
    def lines(case, count):
        return [workload_line(case), launch_line(case), {"kind": "case", "case": case, "lines": count, "ended": 1.0}]

    part = tmp_path / "run.main.part"
    rows = [*lines(CASE, 3), *lines("other", 4)]
    part.write_text("".join(json.dumps(row) + "\n" for row in rows) + "garbage\n")
    assert merge(tmp_path / "run.jsonl", header(), [part]) == {CASE}
    assert "other" not in (tmp_path / "run.jsonl").read_text()
