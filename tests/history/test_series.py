"""A history of several parts is read like one, whatever stands in which part, and the screen hides nothing."""

from pathlib import Path

import duckdb
import numpy as np
import pytest

import perfgate.history.series as reading
from benchmarks.history.scale import MACHINE, METRICS, generate
from perfgate.history.changes import ALPHA, changes_of, creep_of
from perfgate.history.points import Point
from perfgate.history.series import opened
from perfgate.history.store import Store
from perfgate.history.survey import look_at, survey
from tests.history.test_store import MACHINE as TESTED
from tests.history.test_store import run

CASES, RUNS = 50, 900  # more points than a part of a merged file has


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A merged history, and runs since."""
    folder = tmp_path_factory.mktemp("merged")
    for part in (range(RUNS // 2), range(RUNS // 2, RUNS)):
        generate(folder, CASES, part, METRICS)
    Store(str(folder)).compact(MACHINE)
    for number in range(RUNS, RUNS + 3):
        generate(folder, CASES, range(number, number + 1), METRICS)
    return folder


def test_every_series_is_what_sql_says_whatever_is_read_at_once(merged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect() as database:
        rows = database.execute(
            "select case_id, metric, list(run_id order by created), list(value order by created) "
            f"from read_parquet('{merged}/*/*.parquet') group by all order by 1, 2"
        ).fetchall()
    for at_once in (10_000, 500_000):
        monkeypatch.setattr(reading, "POINTS_AT_ONCE", at_once)
        with opened(Store(str(merged)), MACHINE) as history:
            assert [(one.case, one.metric, one.runs, one.values) for one in history.series()] == rows
            assert history.index.count() == 3 * CASES
            assert history.index.varying() == 2 * CASES  # bytes vary by a little
            assert len(history.machine.runs) == RUNS + 3


def test_a_look_at_one_case_finds_what_a_look_at_all_finds(merged: Path) -> None:
    store = Store(str(merged))
    found = {(one.case, change) for one, changes in survey(store, MACHINE, ALPHA).moved for change in changes}
    looked = {(one.case, change) for one, changes in look_at(store, MACHINE, "test").series for change in changes}
    alone = {(one.case, change) for one, changes in look_at(store, MACHINE, "test_00000").series for change in changes}
    assert found == looked == alone != set()


def series_of_all_kinds() -> dict[tuple[str, str], list[tuple[float, str]]]:
    """Values, and who accepted them, by case and metric."""
    generator = np.random.default_rng(3)
    places = np.arange(120)
    shapes = {
        "still": 0 * places, "step": 0.06 * (places >= 60), "small": 0.02 * (places >= 60), "creep": 0.001 * places,
        "down": -0.06 * (places >= 30), "late": 0.08 * (places >= 115), "bump": 0.08 * (places // 30 == 2),
    }  # fmt: skip
    found: dict[tuple[str, str], list[tuple[float, str]]] = {}
    for number in range(6):
        for name, shape in shapes.items():
            noise = 0.01 * generator.standard_normal(len(places))
            told = ["by ada: wanted" if name == "creep" and number == 1 and place == 50 else "" for place in places]
            found[f"a.py::{name}[{number}]", "step_time_s"] = list(zip(np.exp(shape + noise), told, strict=True))
    for case, values in {
        "count": [100.0] * 70 + [105.0] * 50, "same": [7.0] * 120, "zero": [0.0] * 60 + [3.0] * 60,
    }.items():  # fmt: skip
        found[f"b.py::{case}", "operator_calls"] = [(value, "") for value in values]
    for case, values in {
        "steady": [1.0] * 60 + [1.5] * 60, "short": [1.0, 1.1] * 3,
    }.items():  # fmt: skip
        found[f"c.py::{case}", "step_time_s"] = [(value, "") for value in values]
    return found


def test_the_screen_leaves_out_only_series_in_which_a_closer_look_finds_nothing(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    kinds = series_of_all_kinds()
    for number in range(120):
        points = [
            Point(case, metric, float(values[number][0]), None, 3, values[number][1])
            for (case, metric), values in kinds.items()
            if number < len(values)
        ]
        assert store.add(run(number), points)

    found = survey(store, TESTED, ALPHA)

    with opened(store, TESTED) as history:
        machine, share = history.machine, ALPHA / history.index.varying()
        expected = [
            (one.case, one.metric)
            for one in history.series()
            if list(changes_of(machine, one, share)) or creep_of(machine, one, share)
        ]
    assert sorted((one.case, one.metric) for one, _ in found.moved) == expected
    assert {"creep", "step", "late", "bump", "count", "zero", "steady"} <= {
        case.partition("::")[2].partition("[")[0] for case, _ in expected
    }
