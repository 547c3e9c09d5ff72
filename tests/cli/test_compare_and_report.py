"""``perfgate compare`` and ``perfgate report``, each as a process of its own: output, exit codes, and bad input."""

import io
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from perfgate.records.metrics import METRICS
from perfgate.records.runfile import read
from perfgate.reports.run_report import FORMATS as RENDERERS
from tests.support.runs import (
    CASE,
    MACHINE,
    MEMORY_BYTES,
    OTHER_CASE,
    ROOT,
    STEP_S,
    launch_line,
    noisy_duets,
    noisy_launches,
    perfgate,
    workload_line,
    write_run,
)

Lines = Sequence[dict[str, Any]]
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
FORMATS = ("terminal", "markdown", "csv", "json")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A run of two cases."""
    return write_run(tmp_path / "base.jsonl", [*noisy_launches(1), *noisy_launches(2, OTHER_CASE, typical_s=0.5)])


def head(base: Path, lines: Lines, **changes: Any) -> Path:
    """A run file beside another."""
    return write_run(base.with_name("head.jsonl"), lines, **changes)


def compared(*arguments: str | Path) -> tuple[int, dict[tuple[str, str], dict[str, Any]], dict[str, int]]:
    """Exit code, verdicts by case and metric, and summary of a comparison."""
    done = perfgate("compare", "--json", *arguments)
    assert done.stderr == ""
    document = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert set(document) == {"verdicts", "summary"}
    found = {(verdict["case"], verdict["metric"]): verdict for verdict in document["verdicts"]}
    assert len(found) == len(document["verdicts"])
    return done.returncode, found, document["summary"]


def refuse(*arguments: str | Path, code: int = 2, **options: Any) -> str:
    """What a command says that cannot do what it is asked: one line on standard error."""
    done = perfgate(*arguments, **options)
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stdout or "") == (code, "")
    assert done.stderr.startswith("perfgate")
    assert done.stderr.count("\n") == 1
    return done.stderr


# -- compare ----------------------------------------------------------------------------------------------------------


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


# -- bad input --------------------------------------------------------------------------------------------------------


LINE = json.dumps(launch_line())
VERDICT = {"kind": "verdict", "case": CASE, "metric": "step_time_s", "verdict": "pass"}
BROKEN_FILES = {
    "empty": b"",
    "binary": b"\x89PNG\r\n\x1a\n\xff\xfe",
    "HTML": b"<!DOCTYPE html>\n<html></html>\n",
}
BROKEN_LINES = {
    "cut off": LINE[:-20],
    "nested": "[" * 100_000,
    "list": "[]",
    "NaN": LINE.replace("0.02", "NaN"),
    "infinite": LINE.replace("0.02", "1e999"),
    "beyond floats": LINE.replace("0.02", "1" + "0" * 400),
    "zero": LINE.replace("0.02", "0"),
    "negative": LINE.replace("0.02", "-1"),
    "key missing": LINE.replace('"workload"', '"werkload"'),
    "workload a list": json.dumps(workload_line(workload=["a"])),
    "setting a text": json.dumps(workload_line(setting="x")),
    "tolerance a number": json.dumps(workload_line(tolerance=5)),
    "verdict unknown": json.dumps({**VERDICT, "verdict": "great"}),
    "change a text": json.dumps({**VERDICT, "change": "5%"}),
}


@pytest.fixture(params=["missing", "folder", *BROKEN_FILES, *BROKEN_LINES])
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A run file that is broken in one way."""
    path = tmp_path / "broken.jsonl"
    if request.param == "folder":
        path.mkdir()
    elif request.param in BROKEN_FILES:
        path.write_bytes(BROKEN_FILES[request.param])
    elif request.param in BROKEN_LINES:
        write_run(path, [launch_line(), BROKEN_LINES[request.param]])
    return path


def test_a_broken_run_file_is_refused_in_one_line_that_names_it(broken: Path, base: Path) -> None:
    assert str(broken) in refuse("compare", base, broken)
    assert str(broken) in refuse("report", broken)


def test_numbers_at_the_edges_of_floats_are_compared_without_a_traceback(base: Path) -> None:
    ends = (1e-308, 1e308)
    lines = [
        launch_line(launch=n, side=side, pair=n, metrics={"step_time_s": [ends[side == "candidate"]] * 3})
        for n in range(3)
        for side in ("reference", "candidate")
    ]

    code, found, _ = compared(head(base, lines))

    assert code == 1
    assert found[CASE, "step_time_s"]["verdict"] == "regressed"


def test_a_name_that_is_no_unicode_is_no_reason_for_a_traceback(base: Path) -> None:
    lines = [workload_line("test.py::test[\ud800]"), *noisy_launches(1, "test.py::test[\ud800]")]
    path = head(base, lines)

    for arguments in (("compare", path, path), ("report", path), ("report", path, "--format", "csv")):
        assert "Traceback" not in perfgate(*arguments).stderr


def test_a_terminal_that_knows_only_ascii_is_no_reason_for_a_traceback(base: Path) -> None:
    lines = [workload_line(), launch_line(metrics={"step_time_s": 1e-5}), launch_line(metrics={"step_time_s": 1e-5})]
    path = head(base, lines)
    ascii_only = {**os.environ, "PYTHONIOENCODING": "ascii", "LC_ALL": "C"}

    for arguments in (("compare", path, path), ("report", path), ("report", path, "--format", "markdown")):
        done = perfgate(*arguments, env=ascii_only)
        assert "Traceback" not in done.stderr
        assert done.returncode == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["compere"],
        ["compare"],
        ["compare", "a", "b", "c"],
        ["compare", "a", "--jsn"],
        ["report"],
        ["report", "a", "--format", "pdf"],
        ["report", "a", "--format"],
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments: list[str]) -> None:
    assert "--help" in refuse(*arguments)


def test_an_unknown_format_is_told_with_those_that_exist(base: Path) -> None:
    message = refuse("report", base, "--format", "pdf")

    assert all(name in message for name in ("pdf", *FORMATS))


def test_version_and_help_succeed() -> None:
    assert re.fullmatch(r"perfgate \d+\.\d+\.\d+\n", perfgate("--version").stdout)
    for arguments in (["--help"], ["compare", "--help"], ["report", "--help"]):
        done = perfgate(*arguments)
        assert (done.returncode, done.stderr) == (0, "")


# -- a reader that goes away ------------------------------------------------------------------------------------------


def with_closed_reader(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command whose standard output nobody reads any more."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return perfgate(*arguments, capture_output=False, stdout=writer, stderr=subprocess.PIPE)
    finally:
        os.close(writer)


@pytest.mark.parametrize("form", FORMATS)
def test_a_report_whose_reader_has_seen_enough_ends_quietly(base: Path, form: str) -> None:
    path = head(base, [workload_line(), *noisy_launches(1)])

    done = with_closed_reader("report", path, "--format", form)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("options", [(), ("--json",)])
@pytest.mark.parametrize(("slowdown", "code"), [(1.0, 0), (1.5, 1)])
def test_a_comparison_keeps_its_exit_code_when_its_reader_has_seen_enough(
    base: Path, slowdown: float, code: int, options: tuple[str, ...]
) -> None:
    path = head(base, noisy_launches(3, typical_s=slowdown * STEP_S))

    done = with_closed_reader("compare", base, path, *options)

    assert (done.returncode, done.stderr) == (code, "")


def test_the_first_line_of_a_long_report_can_be_read_alone(base: Path) -> None:
    lines: list[dict[str, Any]] = []
    for number in range(1500):
        case = f"training/test_batch_size.py::test_batch_size[{number}]"
        lines += [workload_line(case), launch_line(case)]
    command = f"set -o pipefail; '{sys.executable}' -m perfgate report '{head(base, lines)}' --format csv | head -1"

    done = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)

    assert done.stdout.startswith("technique,model,case")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", ["compare", "report"])
def test_output_that_cannot_be_written_is_told_in_one_line(base: Path, command: str) -> None:
    path = head(base, [workload_line(), *noisy_launches(1)])
    arguments = ["compare", path, path] if command == "compare" else ["report", path]

    with Path("/dev/full").open("w") as full:
        message = refuse(*arguments, capture_output=False, stdout=full, stderr=subprocess.PIPE)

    assert "No space left on device" in message


# -- report -----------------------------------------------------------------------------------------------------------

BAR_CASE = "inference/test_encoders.py::test_embeddings[a|b]"


@pytest.fixture
def measured(tmp_path: Path) -> Path:
    """A run with two cases of one technique, one of them vanilla, one case of another, and verdicts."""
    verdict = {"kind": "verdict", "case": CASE, "metric": "step_time_s", "verdict": "regressed", "change": 0.5}
    more = {"low": 0.4, "high": 0.6, "smallest_detectable": 0.1, "reference": STEP_S, "candidate": 1.5 * STEP_S}
    fine = {"kind": "verdict", "case": OTHER_CASE, "metric": "peak_memory_bytes", "verdict": "pass", "change": 0.0}
    faster = {"metrics": {"step_time_s": [0.03, 0.01, 0.02], "samples_per_s": 400.0}}
    lines = [
        workload_line(CASE),
        launch_line(CASE, metrics={"step_time_s": 0.04, "samples_per_s": 200.0, "peak_memory_bytes": 2**20}),
        workload_line(OTHER_CASE, workload="b" * 64, setting={"batch_size": 16}, tolerance={}),
        launch_line(OTHER_CASE, workload="b" * 64, **faster),
        workload_line(BAR_CASE, workload="c" * 64, technique="encoders", model="bert|large", setting={}, vanilla=None),
        launch_line(BAR_CASE, workload="c" * 64, metrics={"time_to_first_token_s": 2.5e-5}),
        {**fine, "why": ""},
        {**verdict, **more},
    ]
    return write_run(tmp_path / "measured.jsonl", lines)


def test_the_terminal_report_shows_verdicts_worst_first_and_a_table_for_each_technique(measured: Path) -> None:
    done = perfgate("report", measured)

    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    assert "Perfgate run 20260102-030405-abcd" in text
    assert str(MACHINE["name"]) in text
    assert "1 regressed, 1 pass" in text
    assert text.index("regressed │ " + CASE) < text.index(OTHER_CASE)
    assert "training / batch_size" in text
    assert "inference / encoders" in text
    assert "batch_size=8 (vanilla)" in text
    assert "40 ms" in text


def cells(line: str) -> list[str]:
    """The cells of a row of a markdown table, in which a bar is escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_the_markdown_report_has_a_table_for_verdicts_and_for_each_technique(measured: Path) -> None:
    done = perfgate("report", measured, "--format", "markdown")

    assert (done.returncode, done.stderr) == (0, "")
    blocks = done.stdout.split("\n\n")
    tables = [[cells(line) for line in block.splitlines()] for block in blocks if block.startswith("|")]
    assert blocks[0] == "## Perfgate run 20260102-030405-abcd"
    assert [block for block in blocks if block.startswith("### ")] == [
        "### training / batch_size",
        "### inference / encoders",
    ]
    assert [table[0][0] for table in tables] == ["verdict", "model", "model"]
    assert all(len({len(row) for row in table}) == 1 for table in tables)
    assert all(set("".join(table[1])) <= set(":-") for table in tables)
    assert tables[0][2][:3] == ["regressed", CASE, "step_time_s"]
    assert tables[2][2][0] == "bert\\|large"
    settings = {row[1]: dict(zip(tables[1][0], row, strict=True)) for row in tables[1][2:]}
    assert settings["batch_size=16"]["time ratio"] == "0.50"
    assert settings["batch_size=16"]["samples/s ratio"] == "2.00"
    assert settings["batch_size=8 (vanilla)"]["peak memory"] == "1.00 MiB"


def test_the_csv_report_has_a_row_for_each_run_case_and_metric(measured: Path, base: Path) -> None:
    done = perfgate("report", measured, base, "--format", "csv")

    assert (done.returncode, done.stderr) == (0, "")
    frame = pd.read_csv(io.StringIO(done.stdout))
    found = frame.set_index(["case", "metric"])["value"].to_dict()
    verdicts = frame.set_index(["case", "metric"])["verdict"].to_dict()
    assert {"run", "technique", "model", "case", "setting", "metric", "unit", "value", "verdict"} <= set(frame.columns)
    assert found[CASE, "step_time_s"] == 0.04
    assert found[OTHER_CASE, "step_time_s"] == 0.02
    assert found[OTHER_CASE, "step_time_s_to_vanilla"] == 0.5
    assert found[BAR_CASE, "time_to_first_token_s"] == 2.5e-5
    assert verdicts[CASE, "step_time_s"] == "regressed"
    assert not frame.duplicated(["run", "case", "metric"]).any()


def test_the_json_report_has_every_run_with_its_verdicts_and_settings(measured: Path) -> None:
    done = perfgate("report", measured, measured, "--format", "json")

    assert (done.returncode, done.stderr) == (0, "")
    runs = json.loads(done.stdout)["runs"]
    assert [run["run"]["run_id"] for run in runs] == ["20260102-030405-abcd"] * 2
    assert runs[0] == runs[1]
    assert runs[0]["summary"] == {"regressed": 1, "pass": 1}
    assert {row["case"]: row.get("step_time_s") for row in runs[0]["settings"]} == {
        CASE: 0.04,
        OTHER_CASE: 0.02,
        BAR_CASE: None,
    }


@pytest.mark.parametrize("named", [True, False])
def test_a_workload_line_need_not_name_its_case(named: bool, base: Path) -> None:
    path = head(base, [workload_line(CASE if named else None), launch_line()])

    frame = pd.read_csv(io.StringIO(perfgate("report", path, "--format", "csv").stdout))

    assert frame.set_index("metric")["value"].to_dict()["step_time_s"] == STEP_S
    assert set(frame["case"]) == {CASE}
    assert set(frame["technique"]) == {"batch_size"}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("lines", [[], [workload_line()]], ids=["nothing", "no launch"])
def test_a_run_that_measured_nothing_has_a_report(form: str, lines: Lines, base: Path) -> None:
    done = perfgate("report", head(base, lines), "--format", form)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", FORMATS)
def test_a_report_can_be_written_to_a_file(form: str, measured: Path) -> None:
    target = measured.with_name("report")
    target.write_text("x" * 100_000)

    done = perfgate("report", measured, "--format", form, "--output", target)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    expected = io.StringIO()
    RENDERERS[form]([read(measured)], expected)
    assert target.read_text(encoding="utf-8") == expected.getvalue()


@pytest.mark.parametrize("place", ["folder", "below a file", "missing folder", "/dev/full"])
def test_a_report_that_cannot_be_written_is_told_in_one_line(place: str, measured: Path) -> None:
    folder = measured.parent
    (folder / "file").write_text("kept")
    places = {
        "folder": folder,
        "below a file": folder / "file" / "report",
        "missing folder": folder / "none" / "report",
        "/dev/full": Path("/dev/full"),
    }

    message = refuse("report", measured, "--output", places[place])

    assert f"{places[place]}: cannot be written" in message


@pytest.fixture
def counted(base: Path) -> Path:
    """A run with the dry run of a model of three layers alike."""
    work = {
        "": {"other": [1, 0, 1000]},
        "h.{0-2}.mlp": {"contractions": [2, 100, 500], "element-wise": [1, 10, 500]},
        "optimizer": {"element-wise": [1, 70, 2000]},
    }
    metrics = {"predicted_peak_bytes": 1, "predicted_cuda_peak_bytes": 1}
    ledger = {"work": work, "memory_by_part_bytes": {}, "cuda_memory_by_part_bytes": {}}
    dry = launch_line(metrics=metrics, details={"ledger": ledger}) | {"pass": "dry"}
    return head(base, [workload_line(), dry])


def test_a_report_tells_each_groups_share_of_the_work_of_a_case(counted: Path) -> None:
    blocks = perfgate("report", counted, "--format", "markdown").stdout.split("\n\n")

    title = "### work: each operator group's share of FLOPs / of bytes moved"
    names, _, row = map(cells, blocks[blocks.index(title) + 1].splitlines())
    assert dict(zip(names, row, strict=True)) == {
        "case": CASE,
        "FLOP/byte": "0.0667",
        "contractions": "75.0% / 25.0%",
        "element-wise": "25.0% / 58.3%",
        "other": "0.00% / 16.7%",
    }


def test_the_work_of_a_case_can_be_broken_down_by_operator_group_and_module(counted: Path) -> None:
    done = perfgate("report", counted, "--work", "test_batch_size", "--format", "markdown")

    assert (done.returncode, done.stderr) == (0, "")
    titles = [block for block in done.stdout.split("\n\n") if block.startswith("### ")]
    assert titles == [f"### {CASE}: by group of operators", f"### {CASE}: by module"]
    rows = [cells(line) for line in done.stdout.splitlines() if line.startswith("|")]
    assert ["h.{0-2}.mlp", "contractions", "6", "300 FLOP", "75.0%", "1.46 KiB", "25.0%", "0.2"] in rows
    assert ["contractions", "6", "300 FLOP", "75.0%", "1.46 KiB", "25.0%", "0.2"] in rows
    assert [row[0] for row in rows if row[1] == "other"] == ["(outside of modules)"]


def test_the_break_down_adds_up_to_the_whole_in_plain_numbers(counted: Path) -> None:
    frame = pd.read_csv(io.StringIO(perfgate("report", counted, "--work", CASE, "--format", "csv").stdout))

    assert frame[["calls", "flops", "moved_bytes"]].sum().to_list() == [11, 400, 6000]
    document = json.loads(perfgate("report", counted, "--format", "json").stdout)
    assert sum(row["moved_bytes"] for row in document["runs"][0]["work"]) == 6000


def test_the_work_of_a_case_that_did_not_run_dry_is_refused_in_a_sentence(counted: Path) -> None:
    assert "has no dry run of a case whose id holds 'nowhere'" in refuse("report", counted, "--work", "nowhere")


def test_every_metric_that_is_known_can_be_reported(base: Path) -> None:
    lines = [workload_line(), launch_line(metrics=dict.fromkeys(METRICS, 2.0) | {"unheard_of": -1})]

    frame = pd.read_csv(io.StringIO(perfgate("report", head(base, lines), "--format", "csv").stdout))

    assert set(METRICS) | {"unheard_of"} <= set(frame["metric"])
