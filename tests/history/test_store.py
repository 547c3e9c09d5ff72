"""The store: what is kept is read once, whoever writes and merges meanwhile."""

import json
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks.history.kills import kill_at_random
from perfgate.history.points import Point, Run
from perfgate.history.series import opened
from perfgate.history.store import Store
from perfgate.history.survey import survey
from perfgate.shared.errors import UserError

MACHINE = "cpu-test"
START = datetime(2026, 1, 1, tzinfo=UTC)


def run(number: int, machine: str = MACHINE) -> Run:
    """A run of its own day."""
    software = json.dumps({"torch": "2.13.0"})
    return Run(f"run-{number:03d}", START + timedelta(days=number), machine, f"{number:040x}", software)


def keep(url: str, number: int, machine: str = MACHINE) -> bool:
    """Keep a run of two metrics."""
    points = [
        Point("a.py::test", "step_time_s", 0.5 + number, 10.0 + number, 3, "", 1),
        Point("a.py::test", "operator_calls", 100 + number, None, 1, "", 1),
    ]
    return Store(url).add(run(number, machine), points)


def values(url: str, machine: str = MACHINE) -> dict[str, list[float]]:
    """All that the store holds, by metric, in order of time."""
    with opened(Store(url), machine) as history:
        return {series.metric: list(series.levels) for series in history.series()}


@pytest.mark.parametrize("machine", [MACHINE, "portable/torch-2.13"])
@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_what_was_kept_is_read_in_order_of_time_before_and_after_a_merge(
    scheme: str, machine: str, tmp_path: Path
) -> None:
    url = f"{scheme}{tmp_path}/history"
    assert all(keep(url, number, machine) for number in (2, 0, 1))
    assert Store(url).machines() == [machine]
    expected = {"operator_calls": [100, 101, 102], "step_time_s": [10, 11, 12]}
    assert values(url, machine) == expected
    assert Store(url).compact(machine) == 3
    assert values(url, machine) == expected
    assert len(Store(url).stored(machine)) == 1


def test_a_run_is_kept_once(tmp_path: Path) -> None:
    assert keep(str(tmp_path), 1)
    assert not keep(str(tmp_path), 1)
    Store(str(tmp_path)).compact(MACHINE)
    assert not keep(str(tmp_path), 1)


def test_keeping_a_run_reads_only_files_that_may_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        keep(str(tmp_path), number)
    Store(str(tmp_path)).compact(MACHINE)
    for number in range(4, 8):
        keep(str(tmp_path), number)
    read: list[str] = []
    footer = Store._footer
    monkeypatch.setattr(Store, "_footer", lambda store, path: read.append(Path(path).name) or footer(store, path))

    assert keep(str(tmp_path), 9)
    assert [name.partition("-")[0] for name in read] == ["merged"]
    assert not keep(str(tmp_path), 5)
    assert [name.partition("-")[0] for name in read[1:]] == ["20260106"]


def test_a_run_in_two_files_counts_once(tmp_path: Path) -> None:
    for number in range(3):
        keep(str(tmp_path), number)
    first = [path.read_bytes() for path in sorted((tmp_path / MACHINE).iterdir())]
    Store(str(tmp_path)).compact(MACHINE)
    # What a merge leaves that was killed before it removed the old files.
    for number, content in enumerate(first):
        (tmp_path / MACHINE / f"old-{number}.parquet").write_bytes(content)
    assert values(str(tmp_path))["step_time_s"] == [10, 11, 12]
    assert Store(str(tmp_path)).compact(MACHINE) == 4
    assert values(str(tmp_path))["step_time_s"] == [10, 11, 12]


def test_ten_writers_of_two_machines_at_once_lose_nothing(tmp_path: Path) -> None:
    machines = (MACHINE, "cpu-other")
    with ProcessPoolExecutor(10) as pool:
        kept = list(pool.map(keep, [str(tmp_path)] * 24, range(24), machines * 12))
    assert all(kept)
    for start, machine in enumerate(machines, 100):
        assert values(str(tmp_path), machine)["operator_calls"] == list(range(start, 124, 2))


def test_kills_at_random_moments_lose_and_double_nothing(tmp_path: Path) -> None:
    assert kill_at_random(tmp_path, kills=12, seed=1) == []


def test_a_file_of_another_program_is_refused_by_name(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    keep(str(tmp_path), 1)
    pq.write_table(pa.table({"x": [1]}), tmp_path / MACHINE / "other.parquet")
    with pytest.raises(UserError, match=r"other\.parquet: is not a file of Perfgate's history"):
        Store(str(tmp_path)).stored(MACHINE)


@pytest.mark.parametrize("merged", [False, True])
def test_another_way_of_measuring_begins_a_series_and_files_of_earlier_versions_hold_the_first_way(
    merged: bool, tmp_path: Path
) -> None:
    store = Store(str(tmp_path))
    for number in range(3):
        assert store.add(run(number), [Point("a.py::test", "python_calls", 100, None, 1, "", 1)])
    for file in tmp_path.rglob("*.parquet"):  # as version 0.1.0 wrote it
        assert pq.read_table(file).column("metric").to_pylist() == ["python_calls"]
    for number in range(3, 9):
        assert store.add(run(number), [Point("a.py::test", "python_calls", 90, None, 1, "", 2)])
    if merged:
        store.compact(MACHINE)
    with opened(store, MACHINE) as history:
        found = {series.way: list(series.values) for series in history.series()}
        assert history.index.count() == 2
        names = [series.name for series in history.series()]
    assert found == {1: [100] * 3, 2: [90] * 6}
    assert names == ["a.py::test (measured as before version 0.2.0)", "a.py::test"]
    assert survey(store, MACHINE, 0.1).events == []


def test_a_file_that_was_merged_after_it_was_listed_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        keep(str(tmp_path), number)
    listed = Store._names
    merged: list[int] = []

    def merged_meanwhile(store: Store, machine: str) -> list[str]:
        """The files as they are listed, and another process that merges them at once."""
        names = listed(store, machine)
        if not merged:
            merged.append(0)
            merged[0] = Store(str(tmp_path)).compact(machine)
        return names

    monkeypatch.setattr(Store, "_names", merged_meanwhile)
    assert values(str(tmp_path))["operator_calls"] == [100, 101, 102]
    assert merged == [3]


def merge_often(url: str) -> None:
    """Merge again and again, while others write, read and merge."""
    for _ in range(10):
        Store(url).compact(MACHINE)


def test_two_that_merge_while_another_writes_and_reads_lose_nothing_and_show_nobody_less(tmp_path: Path) -> None:
    url = str(tmp_path)
    keep(url, 0)
    with ProcessPoolExecutor(2) as pool:
        merging = [pool.submit(merge_often, url) for _ in range(2)]
        for number in range(1, 13):
            assert keep(url, number)
            assert values(url)["operator_calls"] == list(range(100, 101 + number))
        for one in merging:
            one.result()
    Store(url).compact(MACHINE)
    assert values(url)["step_time_s"] == list(range(10, 23))
    assert len(Store(url).stored(MACHINE)) == 1
