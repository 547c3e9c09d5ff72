"""Which pair of versions a pair without baselines of its own is held against."""

from pathlib import Path

import pytest

from perfgate.records.portable import PortableStore, nearest_first, since
from tests.support.runs import CASE, SOFTWARE, WORKLOAD, baseline


def pair(transformers: str, torch: str = "2.13") -> str:
    """Its name."""
    return f"torch-{torch}-transformers-{transformers}"


STORED = [pair("4.57"), pair("5.9"), pair("5.23"), pair("5.9", "2.12"), "unknown"]


@pytest.mark.parametrize(
    ("here", "order"),
    [
        (pair("5.24"), [pair("5.23"), pair("5.9"), pair("5.9", "2.12"), pair("4.57")]),
        # What is newer comes last, and then the oldest of it first.
        (pair("5.10"), [pair("5.9"), pair("5.9", "2.12"), pair("4.57"), pair("5.23")]),
        (pair("4.50"), [pair("4.57"), pair("5.9", "2.12"), pair("5.9"), pair("5.23")]),
        # A newer torch beside an older transformers is newer.
        (pair("5.10", "2.12"), [pair("5.9", "2.12"), pair("4.57"), pair("5.9"), pair("5.23")]),
        ("unknown", []),
    ],
)
def test_the_newest_pair_that_is_not_newer_is_the_nearest_and_else_the_oldest(here: str, order: list[str]) -> None:
    assert nearest_first(STORED, here) == order


def store(root: Path, name: str, workload: str) -> None:
    """Store a case under a pair."""
    found = baseline({"s": [{"flops": (1e6, None)}]}, workload=workload)
    PortableStore(root, name).put({CASE: found}, {"name": name}, SOFTWARE)


def test_a_pair_that_has_the_same_workload_comes_before_a_nearer_one_that_has_another(tmp_path: Path) -> None:
    store(tmp_path, pair("4.57"), WORKLOAD)
    store(tmp_path, pair("5.9"), "b" * 64)

    found, versions = PortableStore(tmp_path, pair("5.23", "2.14")).held(CASE, WORKLOAD)
    other, _ = PortableStore(tmp_path, pair("5.23")).held(CASE, "c" * 64)

    assert found is not None
    assert (found.workload, versions) == (WORKLOAD, "torch 2.13, transformers 4.57")
    assert other is not None
    assert other.workload == "b" * 64


def test_a_pairs_own_baseline_is_of_no_other_versions(tmp_path: Path) -> None:
    store(tmp_path, pair("5.9"), WORKLOAD)

    assert PortableStore(tmp_path, pair("5.9")).held(CASE, WORKLOAD)[1] == ""
    assert PortableStore(tmp_path, pair("5.9")).held("other.py::test", WORKLOAD) == (None, "")
    assert since(pair("5.9"), pair("5.9")) == ""
