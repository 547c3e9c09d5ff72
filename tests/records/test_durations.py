"""Stored durations, and how cases are dealt to shards by them."""

import json
from pathlib import Path

import pytest

from perfgate.cases.dealing import START_S, deal, digest, expected_s, shards_for
from perfgate.records.durations import read_durations, write_durations
from perfgate.shared.errors import UserError


def test_the_longest_case_goes_to_the_least_loaded_shard() -> None:
    expected = {"a": 7.0, "b": 5.0, "c": 4.0, "d": 4.0, "e": 1.0}

    assert deal(expected, 2) == [["a", "d"], ["b", "c", "e"]]
    assert deal(dict(reversed(expected.items())), 2) == deal(expected, 2)
    assert deal(expected, 7)[5:] == [[], []]
    assert [len(cases) for cases in deal(dict.fromkeys("abcdef", 0.0), 3)] == [2, 2, 2]


def test_where_some_shards_run_at_once_the_last_are_small_and_what_may_end_late_begins_first() -> None:
    known = {f"case {number}": 1.0 + number % 3 for number in range(140)}
    expected = known | {"new 1": 4.0, "new 2": 4.0, "long": 300.0}

    dealt = deal(expected, 8, 2, {"new 1", "new 2"})

    assert sorted(case for cases in dealt for case in cases) == sorted(expected)
    assert dealt[0] == ["long"]
    assert [cases[0] for cases in dealt[1:3]] == ["new 1", "new 2"]
    took_s = [sum(expected[case] for case in cases) for cases in dealt]
    assert max(took_s[1:3]) < took_s[3] / 4
    assert took_s[3:] == sorted(took_s[3:], reverse=True)
    assert deal(expected, 3) == deal(expected, 3, 3)
    assert digest(expected, 6) != digest(expected, 6, 2)


def test_there_are_more_shards_than_machines_where_a_start_costs_less_than_waiting_for_the_last() -> None:
    assert shards_for({}, 4) == 16
    assert shards_for({}, 1) == 1
    assert shards_for({"a": 1e6}, 1) == 1
    assert shards_for({"a": 4 * START_S}, 4) == 4
    assert shards_for({"a": 400 * START_S}, 4) == 4 * 6


def test_an_unknown_case_takes_the_mean_of_its_technique() -> None:
    stored = {"p/test_lora.py::a": 1.0, "p/test_lora.py::b": 3.0, "p/test_lora.py::c": 50.0, "p/test_x.py::a": 9.0}
    cases = [*list(stored)[:3], "p/test_lora.py::new", "p/test_other.py::new"]

    found = expected_s(cases, stored)

    assert found["p/test_lora.py::new"] == 18.0
    assert found["p/test_other.py::new"] == 15.75  # of all that is stored
    assert expected_s(cases, {}) == dict.fromkeys(cases, 1.0)
    assert digest(found, 2) != digest(found, 3) != digest({**found, cases[0]: 2.0}, 3)


def test_the_file_is_that_of_pytest_split(tmp_path: Path) -> None:
    path = tmp_path / ".test_durations"
    path.write_text(json.dumps({"tests/test_other.py::test_a": 0.5}))

    write_durations(path, {"perf_tests/test_x.py::test_b": 1.23456})

    assert json.loads(path.read_text()) == {"perf_tests/test_x.py::test_b": 1.235, "tests/test_other.py::test_a": 0.5}
    assert read_durations(path)["perf_tests/test_x.py::test_b"] == 1.235
    assert read_durations(tmp_path / "none") == {}


@pytest.mark.parametrize("text", ["{", "5", '{"a": -1}', '{"a": "1"}', '{"a": 1e999}', '{"a": NaN}', '{"a": true}'])
def test_a_damaged_file_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "durations"
    path.write_text(text)

    with pytest.raises(UserError, match="durations"):
        read_durations(path)
