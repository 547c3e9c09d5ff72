"""``perfgate explain``: the difference of a case's two sides, and what it says where it cannot tell one."""

from pathlib import Path
from typing import Any

from tests.support.commands import head, refuse
from tests.support.pages import dry, full_run, verdict
from tests.support.runs import CASE, OTHER_CASE, launch_line, noisy_launches, perfgate, workload_line, write_run

SLOWER = {"change": 0.3, "low": 0.25, "high": 0.36, "reference": 0.02, "candidate": 0.026, "tolerance": 0.03}
ALIKE = {"change": 0.0, "low": 0.0, "high": 0.0, "reference": 5, "candidate": 5, "tolerance": 0.0}


def explained(*arguments: str | Path) -> str:
    """What the command prints."""
    done = perfgate("explain", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def cast(side: str, kind: str, count: int) -> dict[str, Any]:
    """A dry run that converts so often in each of two layers, with an operator of this type."""
    line = dry(CASE, side, copies=count)
    line["details"]["ledger"] |= {
        "conversions": {"h.{0-1}.norm": {"bfloat16 to float32": count}} if count else {},
        "typed_operators": {f"mul of {kind}": 6},
        "host_syncs": {"h.0.norm": {f"item at model.py:{12 + count}": count}} if count else {},
    }
    return line


def test_an_upcast_an_operator_a_module_memory_and_a_sync_are_named(tmp_path: Path) -> None:
    found = verdict(CASE, "operator_calls", "regressed", change=0.2, reference=5, candidate=6)
    sides = [cast("reference", "bfloat16", 0), cast("candidate", "float32", 1)]
    path = write_run(tmp_path / "run.jsonl", [workload_line(), *sides, found])

    text = explained(path, CASE)

    assert "operator_calls got worse" in text
    assert "Upcast: h.{0-1}.norm converts bfloat16 to float32, +1 a step in each of 2 layers." in text
    told_of = ("mul of float32", "contractions", "activations", "backward", "h.0.mlp", "item at model.py:13")
    for told in told_of:
        assert told in text


def test_a_slower_step_with_the_same_work_says_what_remains(tmp_path: Path) -> None:
    verdicts = [verdict(CASE, "step_time_s", "regressed", **SLOWER), verdict(CASE, "operator_calls", "pass", **ALIKE)]
    path = write_run(tmp_path / "run.jsonl", [workload_line(), dry(CASE, "reference"), dry(CASE), *verdicts])

    text = explained(path, "gpt2-quick-8")

    assert "step_time_s got worse without any change in exact metrics" in text
    assert all(f"- {cause}: " in text for cause in ("kernels", "host", "machine"))
    assert "both sides are alike" in text


def test_a_slower_step_whose_work_was_not_counted_is_not_said_to_have_the_same_work(tmp_path: Path) -> None:
    lines = [workload_line(), launch_line(), verdict(CASE, "step_time_s", "regressed", **SLOWER)]

    text = explained(write_run(tmp_path / "run.jsonl", lines), CASE)

    assert "it is open whether it changed" in text
    assert "without any change" not in text


def test_a_case_is_explained_against_another_run(base: Path) -> None:
    text = explained(head(base, noisy_launches(3, memory_bytes=200_000_000)), CASE, "--against", base)

    assert "peak_memory_bytes got worse by +100.0%" in text


def test_a_page_and_a_document_of_it_can_be_written(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.jsonl", full_run()[1:])

    for form in ("json", "html", "markdown", "csv"):
        assert "contractions" in explained(path, CASE, "--format", form)


def test_what_cannot_be_explained_is_told_in_one_line(base: Path) -> None:
    assert f"the nearest: {CASE}" in refuse("explain", base, "test_batch_size[gpt2-quick-7]")
    assert "is in 2 cases, name one:" in refuse("explain", base, "test_batch_size")
    assert "holds no case" in refuse("explain", head(base, []), CASE)
    alone = head(base, [launch_line("other.py::test")])
    assert "no case" in refuse("explain", alone, "other.py::test", "--against", base)
    assert "this perfgate reads" in refuse("explain", head(base, [], schema="perfgate.run/9"), CASE)
    assert OTHER_CASE not in refuse("explain", alone, CASE)
