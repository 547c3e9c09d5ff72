"""``perfgate merge``: shards put together give what one run gives, and whatever is missing or twice is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from perfgate.records.shards import MANY, merge_shards
from perfgate.shared.errors import UserError
from tests import ROOT
from tests.support.commands import Lines, refuse
from tests.support.runs import (
    CASE,
    OTHER_CASE,
    WORKLOAD,
    header,
    noisy_duets,
    noisy_launches,
    perfgate,
    workload_line,
    write_run,
)

RECORDED = ROOT / "benchmarks" / "gate" / "recorded" / "gpt2-batch-4.jsonl"
WHOLE = [*noisy_launches(1), *noisy_launches(2, OTHER_CASE, typical_s=0.5)]


def part(folder: Path, shard: int, lines: Lines, count: int = 2, **changes: Any) -> Path:
    """The run file of a shard."""
    about = {"run_id": f"run-{shard}-{count}", "options": {"shard": [shard, count], "root": "perf_tests"}, **changes}
    return write_run(folder / f"{about['run_id']}.jsonl", lines, **about)


def verdict(case: str = CASE, name: str = "pass", **more: Any) -> dict[str, Any]:
    """A verdict's line."""
    return {"kind": "verdict", "case": case, "metric": "step_time_s", "verdict": name, **more}


def end(case: str = CASE, ended: float = 5.0, took_s: float = 2.5) -> dict[str, Any]:
    """The line that ends a case."""
    return {"kind": "case", "case": case, "outcome": "passed", "message": "", "took_s": took_s, "ended": ended}


def deal(parts: int, digest: str = "abc") -> dict[str, Any]:
    """The line of a process that measured a part."""
    return {"kind": "deal", "pairs": 4, "parts": parts, "digest": digest}


def merged(target: Path, *arguments: str | Path, code: int = 0) -> dict[str, Any]:
    """What a merge prints as JSON."""
    done = perfgate("merge", *arguments, "-o", target, "--json")
    assert done.stderr == ""
    assert done.returncode == code, done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def recorded() -> list[Lines]:
    """Recorded duets as six cases: two without a slowdown, two with 3%, and two with 5%."""
    lines = [json.loads(text) for text in RECORDED.read_text().splitlines()[1:]]
    duets = [line for line in lines if line["pair"] is not None]
    cases: dict[str, list[Any]] = {}
    for reference, candidate in zip(duets[::2], duets[1::2], strict=True):  # they were recorded in turn
        assert (reference["side"], candidate["side"]) == ("reference", "candidate")
        assert reference["pair"] == candidate["pair"]
        slower = candidate.get("details", {}).get("injected", 0)
        case = f"training/test_x.py::test_x[{slower}-{candidate['pair'] % 2}]"
        cases.setdefault(case, []).extend(
            line | {"case": case, "workload": WORKLOAD} for line in (reference, candidate)
        )
    return list(cases.values())


@pytest.mark.parametrize("sides", ["two files", "one file", "recorded"])
def test_two_shards_compare_as_one_run_does_to_the_byte(tmp_path: Path, sides: str) -> None:
    cases = [f"training/test_x.py::test_x[{number}]" for number in range(6)]
    base: tuple[Path, ...] = ()
    if sides == "recorded":
        groups = recorded()
        cases = [group[0]["case"] for group in groups]
    elif sides == "one file":
        groups = [noisy_duets(number, case, change=0.03 * number) for number, case in enumerate(cases)]
    else:
        groups = [noisy_launches(number, case, typical_s=0.02 + 0.001 * number) for number, case in enumerate(cases)]
        before = [line for number, case in enumerate(cases) for line in noisy_launches(90 + number, case)]
        base = (write_run(tmp_path / "base.jsonl", before),)
    groups = [[workload_line(case), *group] for case, group in zip(cases, groups, strict=True)]
    whole = write_run(tmp_path / "whole.jsonl", [line for group in groups for line in group])
    first = part(tmp_path, 1, [line for group in groups[::2] for line in group])
    second = part(tmp_path, 2, [line for group in groups[1::2] for line in group])

    target = tmp_path / "merged.jsonl"
    assert perfgate("merge", second, first, "-o", target).returncode == 0

    alone, together = (perfgate("compare", *base, run, "--json") for run in (whole, target))
    assert together.stdout == alone.stdout
    assert together.returncode == alone.returncode
    assert '"regressed"' in alone.stdout


def test_what_is_missing_and_what_is_twice_is_named(tmp_path: Path) -> None:
    first = part(tmp_path, 1, [verdict(name="regressed", change=0.5), end(ended=5)], count=4)
    again = part(tmp_path, 1, [verdict(), end(ended=6)], count=4, run_id="again")
    last = part(tmp_path, 4, [verdict(OTHER_CASE), end(OTHER_CASE)], count=4)

    target = tmp_path / "merged.jsonl"
    found = merged(target, first, again, last, code=3)  # nothing is worse, and what was not seen is no pass

    assert found["shards"]["missing"] == [2, 3]
    assert found["shards"]["twice"] == [CASE]
    assert found["summary"] == {"pass": 2}
    told = perfgate("merge", first, again, last, "-o", target).stdout
    assert "Missing: shards 2-3 of 4" in told
    assert f"    {CASE}" in told
    assert json.loads(target.read_text().splitlines()[0])["shards"]["missing"] == [2, 3]
    assert perfgate("report", target, "--format", "markdown").returncode == 0


def test_an_attempt_that_was_cut_off_gives_way_to_a_whole_one(tmp_path: Path) -> None:
    whole = part(tmp_path, 1, [verdict(), end()], created="2026-01-01T00:00:00+00:00")
    cut = part(tmp_path, 1, [verdict(name="regressed", change=1.0)], run_id="cut")
    other = part(tmp_path, 2, [])

    assert merged(tmp_path / "merged.jsonl", whole, cut, other)["summary"] == {"pass": 1}


def test_one_verdict_comes_out(tmp_path: Path) -> None:
    good = part(tmp_path, 1, [verdict(), end()])
    worse = part(tmp_path, 2, [verdict(OTHER_CASE, "regressed", change=0.5), end(OTHER_CASE)])
    failed = part(tmp_path, 2, [], failed={"test_x.py::test_x": "it failed in its set-up: no"}, run_id="failed")
    unsure = part(tmp_path, 2, [verdict(OTHER_CASE, "inconclusive"), end(OTHER_CASE)], run_id="unsure")
    target = tmp_path / "merged.jsonl"

    merged(target, good, worse, code=1)
    merged(target, good, failed, code=1)
    merged(target, good, unsure, code=0)
    merged(target, good, unsure, "--strict", code=3)
    assert "test_x.py::test_x did not pass: it failed" in perfgate("merge", good, failed, "-o", target).stdout


def test_shards_without_a_case_are_no_pass(tmp_path: Path) -> None:
    parts = [part(tmp_path, number, []) for number in (1, 2)]

    assert merged(tmp_path / "merged.jsonl", *parts, code=1)["verdicts"] == []
    assert "hold no case, so nothing was decided" in perfgate("merge", *parts, "-o", tmp_path / "merged.jsonl").stdout


def test_a_shard_whose_pytest_was_stopped_is_missing_until_it_is_measured_again(tmp_path: Path) -> None:
    whole = part(tmp_path, 1, [verdict(), end()])
    stopped = part(tmp_path, 2, [verdict(OTHER_CASE), end(OTHER_CASE)], stopped=2)
    again = part(tmp_path, 2, [verdict(OTHER_CASE), end(OTHER_CASE)], run_id="again")

    assert merged(tmp_path / "merged.jsonl", whole, stopped, code=3)["shards"]["missing"] == [2]
    assert merged(tmp_path / "merged.jsonl", whole, stopped, again)["shards"]["missing"] == []


def test_a_file_that_was_merged_before_is_named(tmp_path: Path) -> None:
    parts = [part(tmp_path, number, [verdict(f"a.py::{number}"), end(f"a.py::{number}")]) for number in (1, 2)]
    merged(tmp_path / "before.jsonl", *parts)

    said = refuse("merge", *parts, tmp_path / "before.jsonl", "-o", tmp_path / "merged.jsonl")

    assert "before.jsonl was merged from a part that is named as well; leave it out" in said


def test_the_chance_of_a_false_alarm_is_divided_before_the_shards_start(tmp_path: Path) -> None:
    right = [part(tmp_path, number, [verdict(f"a.py::{number}"), end(f"a.py::{number}"), deal(2)]) for number in (1, 2)]
    wrong = [part(tmp_path, number, [verdict(f"a.py::{number}"), deal(1)], run_id=f"w{number}") for number in (1, 2)]

    assert merged(tmp_path / "merged.jsonl", *right)["shards"]["overspent"] == 1
    assert merged(tmp_path / "merged.jsonl", *wrong)["shards"]["overspent"] == 2
    assert "given out 2 times" in perfgate("merge", *wrong, "-o", tmp_path / "merged.jsonl").stdout


def test_a_folder_stands_for_its_run_files_and_durations_are_kept(tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    part(folder, 1, [verdict(), end()])
    part(folder, 2, [verdict(OTHER_CASE), end(OTHER_CASE, took_s=4)])
    kept = tmp_path / ".test_durations"

    for _ in range(2):  # the merged file of the first time is no part of the second
        merged(folder / "merged.jsonl", folder, "--durations", kept)

    assert json.loads(kept.read_text()) == {f"perf_tests/{CASE}": 2.5, f"perf_tests/{OTHER_CASE}": 4}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"commit": "other"}, "differ in commit"),
        ({"machine": {"name": "cpu-other"}}, "differ in machine"),
        ({"software": {"torch": "2.12.0"}}, "differ in software"),
        ({"options": {"shard": [2, 3]}}, "one of 3"),
        ({"run_id": "run-1-2"}, "are the same run run-1-2"),
    ],
)
def test_parts_of_different_runs_are_refused(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    first, target = part(tmp_path, 1, [verdict()]), tmp_path / "merged.jsonl"
    about = header(run_id="second", options={"shard": [2, 2], "root": "perf_tests"}) | changes
    second = write_run(tmp_path / "second.jsonl", [verdict(OTHER_CASE)], **about)

    with pytest.raises(UserError, match=told):
        merge_shards([first, second], target)
    assert not target.exists()


def test_parts_of_different_deals_are_refused(tmp_path: Path) -> None:
    parts = [part(tmp_path, 1, [verdict(), deal(2)]), part(tmp_path, 2, [verdict(OTHER_CASE), deal(2, "other")])]

    with pytest.raises(UserError, match="from 2 different lists"):
        merge_shards(parts, tmp_path / "merged.jsonl")


def test_a_damaged_part_and_a_part_as_target_are_refused(tmp_path: Path) -> None:
    first = part(tmp_path, 1, [verdict(change=0.1)])
    before = first.read_text()
    damaged = part(tmp_path, 2, [verdict(OTHER_CASE)])
    damaged.write_text(damaged.read_text()[:-20])

    assert "line 2, the last one, is cut off" in refuse("merge", first, damaged, "-o", tmp_path / "m")
    assert "is one of the parts" in refuse("merge", first, "-o", first)
    assert first.read_text() == before


def test_many_parts_are_read_on_all_cores_as_few_are(tmp_path: Path) -> None:
    """Enough of them that processes are started; one is damaged in the end."""
    folder = tmp_path / "parts"
    folder.mkdir()
    for number in range(1, MANY + 1):
        part(folder, number, [verdict(f"a.py::{number}"), end(f"a.py::{number}", took_s=number)], count=MANY)
    target = tmp_path / "merged.jsonl"

    found = merge_shards(sorted(folder.iterdir()), target)

    assert found.missing == []
    assert found.durations == {f"a.py::{number}": number for number in range(1, MANY + 1)}
    assert len(target.read_text().splitlines()) == 1 + 2 * MANY
    (folder / f"run-7-{MANY}.jsonl").write_text("{")
    with pytest.raises(UserError, match=f"run-7-{MANY}"):
        merge_shards(sorted(folder.iterdir()), target)


def test_parts_below_a_url_are_fetched_and_merged_as_files_are(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    (tmp_path / "night" / "deep").mkdir(parents=True)
    lines = [[workload_line(case), verdict(case), end(case)] for case in (CASE, OTHER_CASE)]
    parts = [part(tmp_path / "night", number, told) for number, told in enumerate(lines, 1)]
    parts[1] = parts[1].rename(tmp_path / "night" / "deep" / "b.jsonl")
    by_path = merged(tmp_path / "path.jsonl", *parts)
    for number, url in enumerate((f"file://{tmp_path}/night", f"file://{tmp_path}/night/**/*.jsonl")):
        assert merged(tmp_path / f"url-{number}.jsonl", url)["verdicts"] == by_path["verdicts"]
    one = merged(tmp_path / "one.jsonl", f"file://{tmp_path}/night/deep/b.jsonl", code=3)
    assert one["shards"]["missing"] == [1]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///nowhere/at/all", "holds no run file"),
        ("strange://bucket/night", "cannot be read: ValueError: Protocol not known: strange"),
    ],
)
def test_a_url_that_gives_nothing_is_refused_in_one_sentence(tmp_path: Path, url: str, why: str) -> None:
    pytest.importorskip("fsspec")
    assert f"{url}: {why}" in refuse("merge", url, "-o", tmp_path / "run.jsonl")


def test_parts_that_measure_a_metric_in_different_ways_are_not_put_together(
    tmp_path: Path,
) -> None:
    first = part(tmp_path, 1, noisy_launches(1))
    second = part(tmp_path, 2, noisy_launches(2, OTHER_CASE), ways={"host_syncs": 2})
    assert "differ in ways" in refuse("merge", first, second, "-o", tmp_path / "merged.jsonl")
