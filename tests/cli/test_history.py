"""``perfgate history`` as a process of its own: what it keeps, what it says, and what it refuses."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.runs import launch_line, perfgate, write_run

CASE = "training/test_batch_size.py::test_batch_size[gpt2-quick-8]"
RUNS = 40
CHANGED = 25


def history(folder: Path, step_s: Callable[[int], float]) -> Path:
    """A history of 40 daily runs: at the 25th transformers moves and each step calls five more operators."""
    generator = random.Random(1)
    runs = []
    for number in range(RUNS):
        moved = number >= CHANGED
        time_s = step_s(number) * math.exp(generator.gauss(0, 0.01))
        metrics = {"step_time_s": [time_s] * 3, "operator_calls": 105 if moved else 100}
        about = {
            "run_id": f"run-{number:02d}",
            "created": f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}T08:00:00+00:00",
            "commit": f"{number:02d}" * 20,
            "software": {"torch": "2.13.0", "transformers": "5.23.0" if moved else "5.22.2"},
        }
        path = folder / f"run-{number:02d}.jsonl"
        runs.append(write_run(path, [launch_line(CASE, metrics=metrics)], **about))
    store = folder / "history"
    done = perfgate("history", "add", *runs, "--to", store)
    assert done.returncode == 0, done.stderr
    return store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history in which the step became 5% slower, too."""
    return history(tmp_path_factory.mktemp("moved"), lambda number: 0.02 * (1.05 if number >= CHANGED else 1))


def test_what_moved_is_listed_with_commits_libraries_and_interval(store: Path) -> None:
    found = json.loads(perfgate("history", "changes", "--from", store, "--json").stdout)["machines"][0]
    (event,) = found["events"]
    assert event["libraries"] == ["transformers 5.22.2 to 5.23.0"]
    time, calls = sorted(event["changes"], key=lambda change: change["metric"], reverse=True)
    assert (calls["metric"], round(calls["change"], 9), calls["commit_before"][:2]) == ("operator_calls", 0.05, "24")
    assert time["metric"] == "step_time_s"
    assert 0.03 < time["low"] < 0.05 < time["high"] < 0.07
    said = perfgate("history", "changes", "--from", store).stdout
    assert "2026-01-26 08:00, commits 242424242424..252525252525; transformers 5.22.2 to 5.23.0" in said
    assert "the chance" in said


def test_since_leaves_out_what_happened_before(store: Path) -> None:
    assert "1 event moved" in perfgate("history", "changes", "--from", store, "--since", "2026-01-20").stdout
    assert "Nothing moved." in perfgate("history", "changes", "--from", store, "--since", "2026-02-01").stdout


def test_a_creep_that_no_run_would_fail_is_named(tmp_path: Path) -> None:
    store = history(tmp_path, lambda number: 0.02 * 1.005**number)
    found = json.loads(perfgate("history", "changes", "--from", store, "--json").stdout)["machines"][0]
    (crept,) = found["creeps"]
    assert (crept["metric"], crept["epoch"]) == ("step_time_s", "run-00")
    assert 0.15 < crept["change"] < 0.25
    assert {change["metric"] for event in found["events"] for change in event["changes"]} == {"operator_calls"}
    page = perfgate("history", "changes", "--from", store, "--format", "html").stdout
    assert f"step_time_s of {CASE} crept by +" in page
    assert "1 metric crept by small steps." in page


def test_a_case_is_shown_with_its_course_after_a_merge_as_before(store: Path) -> None:
    before = perfgate("history", "show", "gpt2-quick-8", "--from", store).stdout
    assert "40 files are merged into one" in perfgate("history", "compact", "--from", store).stdout
    assert perfgate("history", "show", "gpt2-quick-8", "--from", store).stdout == before
    assert "▁" * CHANGED + "█" * (RUNS - CHANGED) in before


def test_a_run_on_uncommitted_changes_is_not_kept(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run.jsonl", [launch_line(CASE)], dirty=True)
    done = perfgate("history", "add", run, "--to", tmp_path / "history")
    assert done.returncode == 2
    assert "was measured on changes that were not committed" in done.stderr
    assert not (tmp_path / "history").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["changes"], "no history is named; name one with --from URL, or as perf_history in the ini file"),
        (["changes", "--from", "{store}/absent"], "holds no history; keep a run there with: perfgate history add RUN"),
        (["changes", "--from", "{store}", "--machine", "gpu"], "knows no machine 'gpu'; it has cpu-test-2x-8gib"),
        (["changes", "--from", "{store}", "--since", "May"], "'May' is no date; write 2026-11-01"),
        (["changes", "--from", "{store}", "--alpha", "2"], "'2' is no chance; write a number between 0 and 1"),
        (["show", "gpt3", "--from", "{store}"], "no case of cpu-test-2x-8gib has 'gpt3' in its id"),
        (["changes", "--from", "nothing://x"], "nothing://x: cannot be opened"),
    ],
)
def test_bad_input_is_one_sentence(arguments: list[str], said: str, store: Path, tmp_path: Path) -> None:
    done = perfgate("history", *(word.format(store=store) for word in arguments), cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_ini_file_names_the_history(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run.jsonl", [launch_line(CASE)])
    (tmp_path / "pytest.ini").write_text("[pytest]\nperf_history = kept\n")
    assert perfgate("history", "add", run, cwd=tmp_path).returncode == 0
    assert (tmp_path / "kept" / "cpu-test-2x-8gib").is_dir()
