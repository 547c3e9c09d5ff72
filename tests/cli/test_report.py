"""``perfgate report`` as a process of its own, in every format."""

import io
import json
import re
from pathlib import Path

import pandas as pd
import pytest

from perfgate.records.runfile import read
from perfgate.reports.formats import WRITERS
from perfgate.reports.run_report import run_report
from perfgate.shared.metrics import METRICS
from tests.support.commands import FORMATS, Lines, head, refuse
from tests.support.runs import (
    CASE,
    MACHINE,
    OTHER_CASE,
    STEP_S,
    launch_line,
    perfgate,
    workload_line,
    write_run,
)

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


def test_a_name_between_colons_is_no_picture(tmp_path: Path) -> None:
    lines = [workload_line(CASE, model="loops:Train", setting={}), launch_line(CASE)]
    text = perfgate("report", write_run(tmp_path / "run.jsonl", lines)).stdout
    assert "loops:Train: " in text


def test_the_terminal_report_shows_verdicts_worst_first_and_a_table_for_each_technique(measured: Path) -> None:
    done = perfgate("report", measured)

    assert (done.returncode, done.stderr) == (0, "")
    text = done.stdout
    assert "Perfgate run 20260102-030405-abcd" in text
    assert str(MACHINE["name"]) in text
    assert "1 regressed, 1 pass" in text
    assert text.index("regressed │ " + CASE) < text.index("Cases by technique")
    assert "step_time_s +50.0%" in text
    assert f"│ {OTHER_CASE}" not in text  # it passed, so it is counted and has no row
    assert re.search(r"training / batch_size +│ 1 +│ 1 ", text)
    assert "inference / encoders" in text
    assert "batch_size=8 (vanilla)" in text
    assert "40 ms" in text


def cells(line: str) -> list[str]:
    """The cells of a row of a markdown table, in which a bar is escaped."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_every_verdict_by_itself_is_shown_on_request(measured: Path) -> None:
    done = perfgate("report", measured, "--all", "--format", "markdown")

    assert (done.returncode, done.stderr) == (0, "")
    blocks = done.stdout.split("\n\n")
    tables = [[cells(line) for line in block.splitlines()] for block in blocks if block.startswith("|")]
    assert blocks[0] == "## Perfgate run 20260102-030405-abcd"
    assert [block for block in blocks if block.startswith("### ")] == [
        "### Verdicts",
        "### training / batch_size",
        "### inference / encoders",
    ]
    assert [table[0][0] for table in tables] == ["verdict", "model, setting", "model, setting"]
    assert all(len({len(row) for row in table}) == 1 for table in tables)
    assert all(set("".join(table[1])) <= set(":-") for table in tables)
    assert tables[0][2][:3] == ["regressed", CASE, "step_time_s"]
    assert tables[2][2][0] == "bert\\|large: defaults"
    settings = {row[0]: dict(zip(tables[1][0], row, strict=True)) for row in tables[1][2:]}
    assert settings["gpt2-quick: batch_size=16"]["time ratio"] == "0.50"
    assert settings["gpt2-quick: batch_size=16"]["samples/s ratio"] == "2.00"
    assert settings["gpt2-quick: batch_size=8 (vanilla)"]["peak memory"] == "1.00 MiB"


def test_the_markdown_digest_tells_the_failures_first_and_has_one_line_for_what_passed(measured: Path) -> None:
    measured.with_suffix(".html").write_text("")

    lines = perfgate("report", measured, "--format", "markdown").stdout.splitlines()

    assert lines[0] == "## Perfgate run 20260102-030405-abcd"
    assert cells(lines[lines.index("| --- | --- | --- |") + 1])[:2] == ["regressed", CASE]
    assert lines.count("1 case passed.") == 1
    assert lines[-1] == f"Page: {measured.with_suffix('.html')}"
    page = "https://example.org/page.html"
    linked = perfgate("report", measured, "--format", "markdown", "--page", page).stdout.splitlines()
    assert linked[-1].endswith(f"]({page})")


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
    assert target.read_text(encoding="utf-8") == WRITERS[form](run_report([read(measured)]))


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
    blocks = perfgate("report", counted, "--all", "--format", "markdown").stdout.split("\n\n")

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
    assert [row[0] for row in rows if row[1] == "other"] == ["the model itself, or outside of it"]


def test_the_break_down_adds_up_to_the_whole_in_plain_numbers(counted: Path) -> None:
    frame = pd.read_csv(io.StringIO(perfgate("report", counted, "--work", CASE, "--format", "csv").stdout))

    assert frame[["calls", "flops", "moved_bytes"]].sum().to_list() == [11, 400, 6000]
    document = json.loads(perfgate("report", counted, "--format", "json").stdout)
    assert sum(row["moved_bytes"] for row in document["runs"][0]["work"]) == 6000


def test_the_work_of_a_case_that_did_not_run_dry_is_refused_in_a_sentence(counted: Path) -> None:
    assert "has no dry run of a case whose id contains 'nowhere'" in refuse("report", counted, "--work", "nowhere")


def test_every_metric_that_is_known_can_be_reported(base: Path) -> None:
    lines = [workload_line(), launch_line(metrics=dict.fromkeys(METRICS, 2.0) | {"unheard_of": -1})]

    frame = pd.read_csv(io.StringIO(perfgate("report", head(base, lines), "--format", "csv").stdout))

    assert set(METRICS) | {"unheard_of"} <= set(frame["metric"])
