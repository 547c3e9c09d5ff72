"""Run files: read back as written, merged from parts, and refused with file, line and key where damaged."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from perfgate.records.details import Details
from perfgate.records.launch import Launch
from perfgate.records.runfile import RunFile, Writer, merge, read
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from tests.support.runs import CASE, OTHER_CASE, WORKLOAD, header, launch_line, noisy_duets, workload_line, write_run

HEADER_KEYS = ("schema", "run_id", "created", "machine", "software", "options")
LAUNCH_KEYS = ("case", "workload", "launch", "side", "pair", "metrics", "yardstick_s", "invalid")
WORKLOAD_KEYS = ("workload", "spec", "technique", "setting", "model", "vanilla")


def without(line: dict[str, Any], key: str) -> dict[str, Any]:
    """A line that lacks a key."""
    return {name: value for name, value in line.items() if name != key}


def measured(**metrics: Any) -> dict[str, Any]:
    """A launch with these metrics."""
    return launch_line(metrics=metrics)


def one(path: Path) -> Launch:
    """The only launch of a run file."""
    (launch,) = read(path).launches
    return launch


# -- what is read -----------------------------------------------------------------------------------------------------


def test_a_run_file_reads_back_as_it_was_written(tmp_path: Path) -> None:
    launch = Launch(
        CASE,
        WORKLOAD,
        3,
        {"step_time_s": [0.02, 0.03], "peak_memory_bytes": 5},
        side="reference",
        pair=7,
        yardstick_s=[0.01, 0.02],
        server="one",
        pass_name="time",
        samples=8,
        tokens=512,
        details=Details(more={"loss": 1.5}),
    )
    spoiled = Launch(CASE, WORKLOAD, 4, {}).rejected("the actor died", fault=True)
    verdict = Verdict(CASE, "step_time_s", "regressed", 0.5, 0.4, 0.6, 0.1, 0.02, 0.03, 5, 0.03, "why")
    lines = [workload_line(), launch.to_json(), spoiled.to_json(), {"kind": "verdict", **verdict.to_json()}]

    run = read(write_run(tmp_path / "run.jsonl", lines, ways=launch.ways))

    assert run.header == header(ways=launch.ways)
    assert run.workloads == {CASE: workload_line()}
    assert run.launches == (launch, spoiled)
    assert run.verdicts == (verdict,)


def test_a_line_without_a_kind_is_a_launch(tmp_path: Path) -> None:
    assert "kind" not in launch_line()
    assert one(write_run(tmp_path / "run.jsonl", [launch_line()])).case == CASE
    assert one(write_run(tmp_path / "run.jsonl", [launch_line(kind="launch")])).case == CASE


def test_lines_of_unknown_kinds_are_kept_aside(tmp_path: Path) -> None:
    lines = [{"kind": "weather", "temperature": 3}, launch_line(), {"kind": 5}, {"kind": ["list"]}, {"kind": None}]

    run = read(write_run(tmp_path / "run.jsonl", lines))

    assert len(run.launches) == 1
    assert run.others == (lines[0], *lines[2:])


def test_unknown_keys_are_accepted_everywhere_and_kept(tmp_path: Path) -> None:
    lines = [
        workload_line(colour="blue"),
        launch_line(colour="blue"),
        {"kind": "verdict", "case": CASE, "metric": "step_time_s", "verdict": "pass", "colour": "blue"},
    ]

    run = read(write_run(tmp_path / "run.jsonl", lines, colour="blue"))

    assert run.header["colour"] == "blue"
    assert run.workloads[CASE]["colour"] == "blue"
    assert len(run.launches) == len(run.verdicts) == 1


def test_unknown_metrics_are_kept(tmp_path: Path) -> None:
    lines = [measured(moon_phase=-0.5, counts=[0, 1, 2])]

    assert one(write_run(tmp_path / "run.jsonl", lines)).metrics == {"moon_phase": -0.5, "counts": [0, 1, 2]}


def test_commit_and_dirty_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps(without(without(header(), "commit"), "dirty")) + "\n")

    assert read(path).launches == ()


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n"])
def test_a_file_may_end_with_or_without_a_newline(end: str, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(f"{json.dumps(header())}\n\n{json.dumps(launch_line())}{end}".encode())

    assert one(path).case == CASE


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85"])
def test_text_may_hold_any_separator_that_json_does_not_escape(separator: str, tmp_path: Path) -> None:
    name = f"test_a.py::test[{separator}]"
    path = tmp_path / "run.jsonl"
    path.write_text(f"{json.dumps(header())}\n{json.dumps(launch_line(name), ensure_ascii=False)}\n", encoding="utf-8")

    assert one(path).case == name


def test_launches_come_by_case_and_side(tmp_path: Path) -> None:
    run = read(write_run(tmp_path / "run.jsonl", [*noisy_duets(1), launch_line(OTHER_CASE)]))

    assert {case: len(found) for case, found in run.by_case().items()} == {CASE: 5, OTHER_CASE: 1}
    assert [launch.pair for launch in run.by_case("reference")[CASE]] == [0, 1, 2, 3, 4]


def test_tolerances_that_cases_named_come_by_case(tmp_path: Path) -> None:
    lines = [
        workload_line(tolerance={"step_time_s": 0.1}),
        workload_line(OTHER_CASE, tolerance={}),
        workload_line(None),
    ]

    assert read(write_run(tmp_path / "run.jsonl", lines)).tolerances() == {CASE: {"step_time_s": 0.1}}


def test_a_launch_is_its_median_over_the_steps_and_their_ratio_to_the_yardstick_beside_them(tmp_path: Path) -> None:
    line = launch_line(metrics={"step_time_s": [1.0, 4.0, 3.0], "setup_s": 8.0}, yardstick_s=[0.5, 2.0, 1.5])

    launch = one(write_run(tmp_path / "run.jsonl", [line]))

    assert (launch.value("step_time_s"), launch.in_yardsticks("step_time_s")) == (3.0, pytest.approx(2.0))
    assert (launch.value("setup_s"), launch.in_yardsticks("setup_s")) == (8.0, pytest.approx(8.0 / 1.5))


# -- what is refused --------------------------------------------------------------------------------------------------


def refused(path: Path) -> str:
    """The message with which a file is refused."""
    with pytest.raises(UserError) as error:
        read(path)
    message = str(error.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_a_file_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    assert "no such run file" in refused(tmp_path / "run.jsonl")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "is a folder; name the run file" in refused(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n", b"\n\n\n"])
def test_an_empty_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)

    assert "perfgate.run/1" in refused(path)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\x00\xff\xfe", b"PK\x03\x04", b"\x00" * 100, b"\xef\xbb\xbf{}"])
def test_a_binary_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(content)

    refused(path)


def test_a_last_line_that_is_cut_off_is_refused_with_the_command_that_removes_it(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run.jsonl", [launch_line(), launch_line()])
    path.write_text(path.read_text()[:-40])

    message = refused(path)

    assert "line 3, the last one, is cut off" in message
    assert f"sed -i '$d' {path}" in message


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", "{", "[1,", "'single quotes'", '{"a": 1}}'])
def test_a_line_that_is_not_json_is_named(line: str, tmp_path: Path) -> None:
    assert "line 2 is not JSON" in refused(write_run(tmp_path / "run.jsonl", [line, launch_line()]))


@pytest.mark.parametrize("line", ["[]", "7", "null", '"text"', "true"])
def test_a_line_that_is_not_an_object_is_named(line: str, tmp_path: Path) -> None:
    assert "line 2 is not a JSON object" in refused(write_run(tmp_path / "run.jsonl", [line, launch_line()]))


@pytest.mark.parametrize("depth", [5_000, 200_000])
@pytest.mark.parametrize("brackets", ["[]", '{"a":}'])
def test_a_line_that_is_nested_too_deeply_is_named(brackets: str, depth: int, tmp_path: Path) -> None:
    line = brackets[:-1] * depth + "1" + brackets[-1] * depth

    assert "line 2 is nested too deeply" in refused(write_run(tmp_path / "run.jsonl", [line, launch_line()]))


def test_a_line_with_an_integer_of_many_digits_is_named(tmp_path: Path) -> None:
    line = json.dumps(measured(step_time_s=1)).replace('"step_time_s": 1', '"step_time_s": ' + "1" * 5000)

    assert "line 2" in refused(write_run(tmp_path / "run.jsonl", [line, launch_line()]))


@pytest.mark.parametrize("key", HEADER_KEYS)
@pytest.mark.parametrize("value", ["missing", 7, None])
def test_a_header_key_that_is_missing_or_of_the_wrong_type_is_named(key: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    line = without(header(), key) if value == "missing" else header(**{key: value})
    path.write_text(json.dumps(line) + "\n")

    assert f"line 1: key {key!r}" in refused(path)


@pytest.mark.parametrize("machine", [{}, {"name": None}, {"name": 7}])
def test_a_machine_without_a_name_is_refused(machine: dict[str, Any], tmp_path: Path) -> None:
    assert "line 1: key 'machine.name'" in refused(write_run(tmp_path / "run.jsonl", [], machine=machine))


def test_another_schema_is_refused_with_both_names(tmp_path: Path) -> None:
    message = refused(write_run(tmp_path / "run.jsonl", [], schema="perfgate.run/99"))

    assert "perfgate.run/99" in message
    assert "perfgate.run/1" in message


@pytest.mark.parametrize("key", LAUNCH_KEYS)
def test_a_launch_key_that_is_missing_is_named(key: str, tmp_path: Path) -> None:
    lines = [launch_line(), without(launch_line(), key), launch_line()]

    assert f"line 3: key {key!r} is missing" in refused(write_run(tmp_path / "run.jsonl", lines))


@pytest.mark.parametrize("key", LAUNCH_KEYS)
@pytest.mark.parametrize("value", [1.5, {"a": 1}, [[]], True])
def test_a_launch_key_of_the_wrong_type_is_named(key: str, value: Any, tmp_path: Path) -> None:
    if key == "metrics" and value == {"a": 1}:
        value = [1]

    message = refused(write_run(tmp_path / "run.jsonl", [launch_line(**{key: value}), launch_line()]))

    assert "line 2: " in message
    assert repr(key) in message


@pytest.mark.parametrize("side", ["both", "Candidate", "", None, ["candidate"]])
def test_a_side_that_is_neither_is_named(side: Any, tmp_path: Path) -> None:
    assert "line 2: key 'side'" in refused(write_run(tmp_path / "run.jsonl", [launch_line(side=side)]))


BEYOND_FLOATS = pytest.param("1" + "0" * 400, id="beyond floats")
BAD_TIMES = ["NaN", "Infinity", "-Infinity", "1e999", "0", "0.0", "-0.0", "-1e-9", "true", '"0.1"', "{}", "[]"]


@pytest.mark.parametrize("key", ["step_time_s", "peak_memory_bytes", "unheard_of_s", "yardstick_s"])
@pytest.mark.parametrize("value", [*BAD_TIMES, BEYOND_FLOATS])
@pytest.mark.parametrize("shape", ["VALUE", "[VALUE, 1.0]", "[1.0, VALUE]"])
def test_a_time_or_size_that_is_no_positive_number_is_named(key: str, value: str, shape: str, tmp_path: Path) -> None:
    changes = {key: "HERE"} if key == "yardstick_s" else {"metrics": {key: "HERE"}}
    line = json.dumps(launch_line(**changes)).replace('"HERE"', shape.replace("VALUE", value))

    message = refused(write_run(tmp_path / "run.jsonl", [launch_line(), line, launch_line()]))

    assert "line 3" in message
    assert key in message or value in message


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "null", "[]", "[1.0, null]", BEYOND_FLOATS])
def test_no_metric_may_be_anything_but_finite_numbers(value: str, tmp_path: Path) -> None:
    line = json.dumps(measured(moon_phase="HERE")).replace('"HERE"', value)

    assert "line 2" in refused(write_run(tmp_path / "run.jsonl", [line, launch_line()]))


@pytest.mark.parametrize("key", WORKLOAD_KEYS)
def test_a_workload_key_that_is_missing_is_named(key: str, tmp_path: Path) -> None:
    lines = [launch_line(), without(workload_line(), key)]

    assert f"line 3: key {key!r} is missing" in refused(write_run(tmp_path / "run.jsonl", lines))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("workload", ["a"]),
        ("workload", 7),
        ("case", {"a": 1}),
        ("setting", "batch_size=8"),
        ("setting", None),
        ("tolerance", 0.5),
        ("tolerance", {"step_time_s": "5%"}),
        ("vanilla", ["a"]),
    ],
)
def test_a_workload_key_of_the_wrong_type_is_named(key: str, value: Any, tmp_path: Path) -> None:
    message = refused(write_run(tmp_path / "run.jsonl", [workload_line(**{key: value}), launch_line()]))

    assert "line 2" in message
    assert repr(key) in message


def test_a_tolerance_without_its_case_is_no_error(tmp_path: Path) -> None:
    lines = [workload_line(None, tolerance={"step_time_s": 0.5}), launch_line()]

    assert read(write_run(tmp_path / "run.jsonl", lines)).tolerances() == {}


@pytest.mark.parametrize("key", ["case", "metric", "verdict"])
def test_a_verdict_key_that_is_missing_is_named(key: str, tmp_path: Path) -> None:
    line = {"kind": "verdict", "case": CASE, "metric": "step_time_s", "verdict": "pass"}

    assert f"line 2: key {key!r} is missing" in refused(write_run(tmp_path / "run.jsonl", [without(line, key)]))


@pytest.mark.parametrize(
    ("key", "value"), [("verdict", "excellent"), ("verdict", 7), ("metric", ["a"]), ("change", "5%")]
)
def test_a_verdict_key_with_a_value_it_cannot_have_is_named(key: str, value: Any, tmp_path: Path) -> None:
    line = {"kind": "verdict", "case": CASE, "metric": "step_time_s", "verdict": "pass", key: value}

    message = refused(write_run(tmp_path / "run.jsonl", [line, launch_line()]))

    assert "line 2" in message
    assert repr(key) in message


# -- what is written --------------------------------------------------------------------------------------------------


def written(path: Path, lines: list[dict[str, Any]]) -> Path:
    """A part with these lines."""
    writer = Writer(path)
    writer.write(lines)
    writer.close()
    return path


def test_every_line_is_on_disk_before_the_writer_is_closed(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "new" / "folder" / "run.part")

    for count in range(1, 4):
        writer.write([launch_line(launch=count)])
        assert len(writer.path.read_text().splitlines()) == count

    writer.close()


def test_a_writer_appends_to_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "run.part"

    for number in (0, 1):
        written(path, [launch_line(launch=number)])

    assert [json.loads(line)["launch"] for line in path.read_text().splitlines()] == [0, 1]


def test_parts_are_merged_behind_one_header_sorted_by_case_and_removed(tmp_path: Path) -> None:
    one_part = written(tmp_path / "run.gw1.part", [workload_line(CASE), launch_line(CASE, 0), launch_line(CASE, 1)])
    other_part = written(tmp_path / "run.gw0.part", [workload_line(OTHER_CASE), launch_line(OTHER_CASE, 0)])
    target = tmp_path / "run.jsonl"

    merge(target, header(), [one_part, other_part])

    run = read(target)
    assert sorted(tmp_path.iterdir()) == [target]
    assert [(launch.case, launch.launch) for launch in run.launches] == [(OTHER_CASE, 0), (CASE, 0), (CASE, 1)]
    assert list(run.workloads) == [OTHER_CASE, CASE]
    assert run.header == header()


def test_a_part_that_ends_within_a_line_costs_that_line_and_not_the_run(tmp_path: Path) -> None:
    part = written(tmp_path / "run.gw0.part", [launch_line(launch=0), launch_line(launch=1)])
    part.write_text(part.read_text()[:-40])
    target = tmp_path / "run.jsonl"

    merge(target, header(), [part, written(tmp_path / "run.gw1.part", [launch_line(launch=2)])])

    assert sorted(launch.launch for launch in read(target).launches) == [0, 2]


def test_a_disk_that_is_full_is_told_and_the_writer_can_still_be_closed() -> None:
    writer = Writer(Path("/dev/full"))

    with pytest.raises(UserError, match="/dev/full: the run file cannot be written: No space left on device"):
        writer.write([launch_line()])

    writer.close()


def below_a_file(folder: Path) -> Path:
    """A path below something that is no folder."""
    (folder / "file").write_text("kept")
    return folder / "file" / "run.part"


def in_place_of_a_folder(folder: Path) -> Path:
    """A path that is a folder."""
    (folder / "run.part").mkdir()
    return folder / "run.part"


@pytest.mark.parametrize("place", [below_a_file, in_place_of_a_folder])
def test_a_place_that_cannot_be_written_is_named(place: Callable[[Path], Path], tmp_path: Path) -> None:
    path = place(tmp_path)

    with pytest.raises(UserError, match="cannot be written") as error:
        Writer(path)

    assert str(path) in str(error.value)


def test_a_merge_that_cannot_be_written_is_told_and_keeps_the_parts(tmp_path: Path) -> None:
    part = written(tmp_path / "run.part", [launch_line()])
    target = tmp_path / "run.jsonl"
    target.mkdir()

    with pytest.raises(UserError, match="cannot be written") as error:
        merge(target, header(), [part])

    assert str(target) in str(error.value)
    assert part.is_file()


def test_an_empty_run_holds_nothing() -> None:
    assert RunFile(header()).by_case() == {}
    assert RunFile(header()).tolerances() == {}
