"""``perfgate compare`` as a process of its own: what it decides, its output and its exit codes."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.support.commands import Lines, compared, head, refuse
from tests.support.runs import (
    CASE,
    MACHINE,
    MEMORY_BYTES,
    OTHER_CASE,
    STEP_S,
    launch_line,
    noisy_duets,
    noisy_launches,
    perfgate,
    workload_line,
    write_run,
)

VERDICT_KEYS = {
    "case",
    "metric",
    "verdict",
    "change",
    "low",
    "high",
    "smallest_detectable",
    "reference",
    "candidate",
    "launches",
}


def test_a_run_is_not_worse_than_itself(base: Path) -> None:
    code, found, summary = compared(base, base)

    assert code == 0
    assert {verdict["change"] for verdict in found.values()} == {0}
    assert not {"regressed", "improved", "stale"} & set(summary)


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_a_run_that_differs_by_noise_alone_is_not_flagged(base: Path, seed: int) -> None:
    lines = [*noisy_launches(seed), *noisy_launches(10 + seed, OTHER_CASE, typical_s=0.5)]

    code, _, summary = compared(base, head(base, lines))

    assert code == 0
    assert not {"regressed", "improved"} & set(summary)


def test_a_clear_slowdown_regressed_and_is_named(base: Path) -> None:
    slow = head(base, [*noisy_launches(3, typical_s=1.3 * STEP_S), *noisy_launches(4, OTHER_CASE, typical_s=0.5)])

    code, found, summary = compared(base, slow)
    text = perfgate("compare", base, slow)

    verdict = found[CASE, "step_time_s"]
    assert code == text.returncode == 1
    assert verdict["verdict"] == "regressed"
    assert verdict["change"] == pytest.approx(0.3, abs=0.03)
    assert verdict["low"] < verdict["change"] < verdict["high"]
    assert verdict["launches"] == 5
    assert (verdict["reference"], verdict["candidate"]) == pytest.approx((STEP_S, 1.3 * STEP_S), rel=0.03)
    assert found[OTHER_CASE, "step_time_s"]["verdict"] != "regressed"
    assert summary["regressed"] == 1
    assert text.stderr == ""
    assert f"{CASE}: step_time_s got worse by +" in text.stdout
    assert text.stdout.splitlines()[-1].startswith("1 regressed, ")


def test_a_clear_speedup_improved(base: Path) -> None:
    code, found, _ = compared(base, head(base, noisy_launches(3, typical_s=STEP_S / 2)))

    assert code == 0
    assert found[CASE, "step_time_s"]["verdict"] == "improved"


@pytest.mark.parametrize(
    ("growth", "name"), [(1.0051, "regressed"), (1.005, "pass"), (1.0, "pass"), (0.99999, "improved")]
)
def test_memory_may_grow_by_half_a_percent(base: Path, growth: float, name: str) -> None:
    code, found, _ = compared(base, head(base, noisy_launches(3, memory_bytes=round(MEMORY_BYTES * growth))))

    assert found[CASE, "peak_memory_bytes"]["verdict"] == name
    assert code == (name == "regressed")


def test_two_sides_in_one_file_are_compared_as_duets(base: Path) -> None:
    same = write_run(base.with_name("same.jsonl"), noisy_duets(1))
    slower = write_run(base.with_name("slower.jsonl"), noisy_duets(2, change=0.05, memory_change=0.02))

    code, unchanged, _ = compared(same)
    worse, changed, _ = compared(slower)

    assert (code, worse) == (0, 1)
    assert unchanged[CASE, "step_time_s"]["verdict"] != "regressed"
    assert unchanged[CASE, "peak_memory_bytes"]["verdict"] == "pass"
    assert changed[CASE, "step_time_s"]["verdict"] == "regressed"
    assert changed[CASE, "step_time_s"]["change"] == pytest.approx(0.05, abs=0.015)
    assert changed[CASE, "peak_memory_bytes"]["verdict"] == "regressed"


def test_with_two_files_the_candidates_of_the_first_are_the_reference(base: Path) -> None:
    lines = [*noisy_launches(1), *noisy_launches(2, typical_s=5.0, side="reference")]
    both = write_run(base.with_name("both.jsonl"), lines)

    code, found, _ = compared(both, base)

    assert code == 0
    assert found[CASE, "step_time_s"]["reference"] == pytest.approx(STEP_S, rel=0.03)


def test_launches_of_two_files_are_no_duets_though_their_pairs_have_the_same_numbers(base: Path) -> None:
    """What differs between two runs must not be taken for what differs within a pair."""
    first = write_run(base.with_name("first.jsonl"), noisy_duets(1, shared_sd=0.001, launch_sd=0.001))
    lines = noisy_duets(2, shared_sd=0.001, launch_sd=0.001)
    for line in lines:
        line["metrics"]["step_time_s"] = [1.025 * step for step in line["metrics"]["step_time_s"]]
    second = write_run(base.with_name("second.jsonl"), lines)

    code, found, _ = compared(first, second)

    assert found[CASE, "step_time_s"]["verdict"] != "regressed"
    assert found[CASE, "step_time_s"]["smallest_detectable"] > 0.03
    assert code == 0


def test_json_is_one_document_with_the_keys_that_are_promised(base: Path) -> None:
    lines = [*noisy_launches(3, typical_s=2 * STEP_S), launch_line("new.py::test_new")]
    done = perfgate("compare", base, head(base, lines), "--json")

    document = json.loads(done.stdout)

    assert set(document) == {"verdicts", "summary"}
    assert all(set(verdict) >= VERDICT_KEYS for verdict in document["verdicts"])
    assert document["summary"] == Counter(verdict["verdict"] for verdict in document["verdicts"])
    assert document["summary"]["new"] == 2
    assert done.stderr == ""


MEMORY_ONLY = {"peak_memory_bytes": MEMORY_BYTES}
TIME_ONLY = {"step_time_s": STEP_S}
DECIDED: dict[str, tuple[Lines, Lines, int, int]] = {
    "pass": ([launch_line(metrics=MEMORY_ONLY)], [launch_line(metrics=MEMORY_ONLY)], 0, 0),
    "improved": (
        [launch_line(metrics=MEMORY_ONLY)],
        [launch_line(metrics={"peak_memory_bytes": MEMORY_BYTES - 1})],
        0,
        0,
    ),
    "regressed": (noisy_launches(1), noisy_launches(2, typical_s=2 * STEP_S), 1, 1),
    "stale": ([launch_line()], [launch_line(workload="b" * 64)], 1, 1),
    "new": ([launch_line(metrics=MEMORY_ONLY)], [launch_line(metrics=MEMORY_ONLY | TIME_ONLY)], 0, 3),
    "invalid": ([launch_line()], [launch_line(metrics={}, invalid="throttled")], 0, 3),
    "inconclusive": ([launch_line(metrics=TIME_ONLY)], [launch_line(metrics=TIME_ONLY)], 0, 3),
}


@pytest.mark.parametrize("name", DECIDED)
def test_the_exit_code_says_what_was_decided(name: str, base: Path) -> None:
    before, after, plain, strict = DECIDED[name]
    files = write_run(base.with_name("before.jsonl"), before), head(base, after)

    code, found, _ = compared(*files)

    assert name in {verdict["verdict"] for verdict in found.values()}
    assert code == plain
    assert perfgate("compare", *files, "--strict", "--json").returncode == strict


def test_a_case_is_judged_by_the_tolerance_that_it_names(base: Path) -> None:
    grown = noisy_launches(3, memory_bytes=MEMORY_BYTES * 5 // 4)

    code, found, _ = compared(base, head(base, [workload_line(tolerance={"peak_memory_bytes": 0.5}), *grown]))

    assert found[CASE, "peak_memory_bytes"]["verdict"] == "pass"
    assert code == 0


def test_cases_that_only_one_file_has_are_told(base: Path) -> None:
    lines = [*noisy_launches(3), launch_line("training/test_new.py::test_new")]

    text = perfgate("compare", base, head(base, lines)).stdout

    assert f"{OTHER_CASE}: only in BASE, not compared" in text
    assert "training/test_new.py::test_new" in text


def test_runs_of_different_machines_do_not_compare(base: Path) -> None:
    other = head(base, noisy_launches(1), machine={**MACHINE, "name": "cpu-other-4x"})

    message = refuse("compare", base, other)

    assert str(MACHINE["name"]) in message
    assert "cpu-other-4x" in message


def test_runs_without_a_case_in_common_do_not_compare(base: Path) -> None:
    assert "no case in common" in refuse("compare", base, head(base, [launch_line("other.py::test")]))


def test_one_file_with_one_side_does_not_compare(base: Path) -> None:
    assert "no reference launches; name a second run file" in refuse("compare", base)
    assert "no candidate launches" in refuse("compare", base, head(base, []))


def test_a_file_without_the_side_that_is_missing_is_named(base: Path) -> None:
    empty = head(base, [])

    assert str(empty) in refuse("compare", base, empty)
    assert str(empty) in refuse("compare", empty, base)


def test_a_metric_that_the_two_runs_measured_in_different_ways_is_undecided_and_no_regression(tmp_path: Path) -> None:
    counted = [launch_line(**{"pass": "counters", "metrics": {"host_syncs": 3}})]
    more = [launch_line(**{"pass": "counters", "metrics": {"host_syncs": 5}})]
    old = write_run(tmp_path / "old.jsonl", counted)
    new = write_run(tmp_path / "new.jsonl", more, ways={"host_syncs": 2})
    for runs in ((old, new), (new, old)):
        code, found, summary = compared(*runs, "--strict")
        (verdict,) = found.values()
        assert (code, verdict["verdict"], verdict["change"], summary) == (3, "new", None, {"inconclusive": 1})
        assert verdict["why"].startswith("Perfgate measures this metric differently since version 0.2.0")
    also_old = write_run(tmp_path / "also-old.jsonl", more)
    assert compared(old, also_old)[0] == 1


def test_a_way_that_is_no_number_is_refused(tmp_path: Path) -> None:
    for ways in ({"host_syncs": 0}, {"host_syncs": True}, ["host_syncs"]):
        path = write_run(tmp_path / "run.jsonl", noisy_launches(1), ways=ways)
        assert "line 1: key 'ways' is not an object of whole numbers from 1" in refuse("compare", path, path)
