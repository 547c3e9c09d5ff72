"""Several settings in one command: a row for each, the fastest that fits, and reasons where there is no answer."""

import json
from pathlib import Path

import pytest

from perfgate.cli.main import main
from perfgate.predict.options import several
from perfgate.predict.question import combinations
from tests.predict.test_predict import gpt2
from tests.support.runs import perfgate

WORDS = ("--seq-len", "16", "--gpu", "T4")


@pytest.mark.slice
def test_every_combination_has_a_row(tmp_path: Path) -> None:
    folder = gpt2(tmp_path / "tiny")
    swept = ("--batch-size", "2,4,8", "--optimizer", "adamw_torch,lomo,sgd")

    done = perfgate("predict", "--model", folder, *WORDS, *swept, "--json")

    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    rows = found["rows"]
    assert [row["options"] for row in rows] == [
        {"batch_size": size, "optimizer": name} for size in (2, 4, 8) for name in ("adamw_torch", "lomo", "sgd")
    ]
    known = [row for row in rows if row["options"]["optimizer"] != "lomo"]
    assert all(row["reason"].startswith("no dry run: optimizer='lomo'") for row in rows if row not in known)
    assert all(row["peak_memory_bytes"] > 0 and row["fits"] for row in known)
    assert [row["samples_per_s"] for row in known] == [row["samples"] / row["roofline_s"] for row in known]
    assert [row["tokens"] for row in known] == [16 * row["samples"] for row in known]
    # The batch of 4 is worked out from the two others; what cannot run dry is asked for each time.
    assert found["dry_runs"] == 4 + 3
    peaks = {(row["options"]["batch_size"], row["options"]["optimizer"]): row["peak_memory_bytes"] for row in known}
    assert peaks[2, "adamw_torch"] > peaks[2, "sgd"]


def test_what_cannot_be_asked_for_at_all_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "--model", "gpt2", "--batch-size", "2,4", "--seq-len", "16", "--precision", "fp17"]) == 2
    assert capsys.readouterr().err.startswith("perfgate: setting 'precision' is 'fp17'; it may be ")


def test_commas_separate_values_that_are_read_one_by_one() -> None:
    assert several(int)("1, 2,1") == (1, 2)
    assert several(int)("7") == 7
    assert list(combinations({"a": (1, 2), "b": "x", "c": (True, False)})) == [
        {"a": a, "b": "x", "c": c} for a in (1, 2) for c in (True, False)
    ]
