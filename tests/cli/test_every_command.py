"""What all commands do alike: bad input, wrong usage, formats, and a reader that goes away."""

import io
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from perfgate.cli.common import Parser
from perfgate.cli.main import COMMANDS
from tests.support.commands import FORMATS, compared, head, refuse
from tests.support.runs import (
    CASE,
    ROOT,
    STEP_S,
    launch_line,
    noisy_launches,
    perfgate,
    workload_line,
    write_run,
)

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
        ["compare", "a", "--json", "--format", "csv"],
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments: list[str]) -> None:
    assert "--help" in refuse(*arguments)


def test_an_unknown_format_is_told_with_those_that_exist(base: Path) -> None:
    message = refuse("report", base, "--format", "pdf")

    assert all(name in message for name in ("pdf", *FORMATS))


def test_the_help_says_of_each_command_what_the_command_says_of_itself() -> None:
    for name, told in COMMANDS.items():
        commands = Parser().add_subparsers()
        import_module(f"perfgate.cli.{name.replace('-', '_')}").add(commands)
        assert [(action.dest, action.help) for action in commands._choices_actions] == [(name, told)]


def test_version_and_help_succeed() -> None:
    assert re.fullmatch(r"perfgate \d+\.\d+\.\d+\n", perfgate("--version").stdout)
    for arguments in (["--help"], ["compare", "--help"], ["report", "--help"]):
        done = perfgate(*arguments)
        assert (done.returncode, done.stderr) == (0, "")


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
@pytest.mark.slice
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


@pytest.mark.parametrize("form", FORMATS)
def test_a_comparison_is_written_in_every_format(base: Path, form: str) -> None:
    slow = head(base, noisy_launches(3, typical_s=2 * STEP_S))

    done = perfgate("compare", base, slow, "--format", form)

    assert (done.returncode, done.stderr) == (1, "")
    assert CASE in done.stdout
    assert "regressed" in done.stdout
    if form == "json":
        assert done.stdout == perfgate("compare", base, slow, "--json").stdout
    if form == "csv":
        verdicts = pd.read_csv(io.StringIO(done.stdout)).set_index(["case", "metric"])["verdict"]
        assert verdicts[CASE, "step_time_s"] == "regressed"


@pytest.mark.parametrize("form", FORMATS)
def test_the_doctor_writes_every_format(form: str, tmp_path: Path) -> None:
    done = perfgate("doctor", "--quick", "--format", form, cwd=tmp_path)

    assert done.returncode in (0, 1)
    assert done.stderr == ""
    assert "No exact metrics stored" in done.stdout or "exact metrics" in done.stdout


OWN_FORMAT = """
def names(report):
    return "".join(f"{name}\\n" for section in report.sections for name in section.tables)

def nothing(report):
    return None

number = 3
"""


def test_a_format_of_ones_own_is_named_by_its_import_path(base: Path, tmp_path: Path) -> None:
    """Through the console script too, for which the current folder is on no path by itself."""
    (tmp_path / "own.py").write_text(OWN_FORMAT)
    script = "import sys; sys.path.remove(''); from perfgate.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", script, "compare", str(base), str(base), "--format", "own:names"]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "Cases by technique\n", "")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere:writer", "format nowhere:writer cannot be imported: No module named 'nowhere'"),
        ("own:missing", "format own:missing cannot be imported: module 'own' has no attribute 'missing'"),
        ("own:nothing", "format own:nothing returned NoneType; it must return text"),
        ("own:number", "format own:number is not a function; a format is a function that takes a Report"),
        ("own:", "unknown format 'own:'; it may be terminal, markdown, csv, json, html, or module:function"),
    ],
)
def test_a_format_of_ones_own_that_is_none_is_refused_in_a_sentence(
    name: str, message: str, base: Path, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN_FORMAT)

    assert message in refuse("report", base, "--format", name, cwd=tmp_path)


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["report", "--help"]])
def test_what_needs_no_table_does_not_wait_for_pandas(arguments: list[str]) -> None:
    code = (
        "import sys; from perfgate.cli.main import main\n"
        f"try: main({arguments})\n"
        "except SystemExit: print({'pandas', 'torch'} & set(sys.modules), file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert done.stderr == "set()\n"
