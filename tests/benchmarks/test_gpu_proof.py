"""The proof on a GPU, held against run files that were made up: what holds, what does not, and how it goes on."""

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks.proof import bar, wheels
from benchmarks.proof.__main__ import LIMIT_S
from benchmarks.proof.bench import RESERVE_S, Bench
from benchmarks.proof.durations import durations
from benchmarks.proof.measured import Measured, measured
from benchmarks.proof.place import Place
from benchmarks.proof.slices import SLICES, Slice, counted
from benchmarks.proof.summary import summary
from benchmarks.proof.tier import CUDA, TIERS
from perfgate.cases.deadline import SPENT
from perfgate.predict import session_cost
from perfgate.records.runfile import RunFile, read
from perfgate.shared.errors import UserError
from tests import ROOT
from tests.support.runs import CASE, launch_line, workload_line, write_run

CUDA_BUILD = bool(
    list(Path(importlib.metadata.distribution("torch").locate_file("torch")).glob("lib/libtorch_cuda.so"))
)
MIB, GIB = 2**20, 2**30
SESSION_S = 20.0  # until a run's servers have imported the libraries
GPU = {"name": "nvidia-h100", "device": "cuda"}
LEDGER = {
    "cuda_memory_by_part_bytes": {},
    "memory_by_part_bytes": {},
    "cuda_memory": {"workspaces": {"temporaries": 64 * MIB}},
}
SHEET = {
    "kind": "timesheet",
    "servers_s": 8.0,
    "waiting_s": 5.0,
    "programs_s": 64.0,
    "setups_s": 20.0,
    "dry_s": 4.0,
    "yardstick_s": 10.0,
    "fork_s": 6.0,
}
DETECTIONS = [{"slowdown": 0.0, "regressed": 0.0}, {"slowdown": 0.03, "regressed": 1.0}]
TIER_PART = {"code": 0, "passed": 12, "skipped": 0, "failed": 0, "failures": []}


def duets_of(*cases: str, missed: float = 0.0) -> list[dict[str, Any]]:
    """What a calibration tells of these cases, if the slowdown is missed in so many draws."""
    caught = [DETECTIONS[0], {**DETECTIONS[1], "regressed": 1 - missed}]
    return [{"case": case, "spread": 0.004, "detections": caught} for case in cases]


FOUND: dict[str, dict[str, Any]] = {
    "doctor": {"code": 0, "fit": True, "findings": [], "machine": {"cpus": 16, "memory_gib": 128}},
    "tests": {"code": 0, "passed": 30, "skipped": 0, "failed": 0, "failures": []},
    "peaks": {"code": 0, "flops_per_s": {"float32": 5e13}, "bytes_per_s": 3e12},
    "store": {"code": 0},
    "again": {"code": 0},
    **{f"calibrate-{number}": {"code": 0, "cases": duets_of(*"abc"[:number])} for number in (1, 2, 3)},
    "growth": {"code": 1},
    **{f"standard-{number}": TIER_PART for number in (1, 2, 3)},
}
Rows = Callable[..., dict[str, bar.Row]]


def verdict(name: str, verdict: str = "pass", change: float = 0.0) -> dict[str, Any]:
    """A verdict's line."""
    return {"kind": "verdict", "case": CASE, "metric": name, "verdict": verdict, "change": change}


def run_of(path: Path, *more: dict[str, Any], steps_s: tuple[float, ...] = (0.02, 0.0201, 0.01995)) -> RunFile:
    """A run on a GPU: one case that keeps the device busy, with a launch of each pass and several timed ones."""
    dry = {"flops": 1e11, "moved_bytes": 2e9, "predicted_peak_bytes": 1.0, "predicted_cuda_peak_bytes": 2.04 * GIB}
    passes: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("dry", dry, {"ledger": LEDGER}),
        ("counters", {"host_syncs": 1}, {"effective": {"precision": "fp32", "attention": "sdpa"}}),
        ("memory", {"peak_memory_bytes": [2 * GIB, 2 * GIB]}, {}),
        *(("time", {"step_time_s": step_s, "host_bound_share": 0.05}, {}) for step_s in steps_s),
    ]
    launches = [
        launch_line(launch=number, metrics=metrics, details=details) | {"pass": name}
        for number, (name, metrics, details) in enumerate(passes)
    ]
    return read(write_run(path, [workload_line(), *launches, *more], machine=GPU))


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, RunFile]:
    """What the three slices that judge leave when all is well."""
    grown = verdict("peak_memory_bytes", "regressed", 0.02)
    return {
        "store": run_of(tmp_path / "store.jsonl"),
        "again": run_of(tmp_path / "again.jsonl", verdict("peak_memory_bytes"), SHEET),
        "growth": run_of(tmp_path / "growth.jsonl", grown),
    }


@pytest.fixture
def rows(runs: dict[str, RunFile]) -> Rows:
    """The lines of the bar by name, with something changed."""

    def build(
        changed: dict[str, dict[str, Any]] | None = None,
        cases: list[Measured] | None = None,
        demoted: tuple[str, ...] = (),
        timed: bool = True,
        **others: RunFile,
    ) -> dict[str, bar.Row]:
        slices = {name: {**found, "took_s": 100.0, **(changed or {}).get(name, {})} for name, found in FOUND.items()}
        found = measured(runs["store"]) if cases is None else cases
        lines = bar.rows(slices, {**runs, **others}, found, len(found), demoted, timed=timed)
        return {line.what: line for line in lines}

    return build


def test_all_is_held_where_all_is_well(rows: Rows) -> None:
    assert {line.what: line.found for line in rows().values() if not line.held} == {}


def test_nothing_is_told_where_nothing_was_measured() -> None:
    assert {line.held for line in bar.rows({}, {}, [], 10)} == {None}


@pytest.mark.parametrize(
    ("slice_name", "change", "what"),
    [
        ("doctor", {"fit": False, "findings": [{"level": "problem", "text": "no driver"}]}, "`perfgate doctor`"),
        ("tests", {"failed": 1, "failures": ["test_it"]}, "the engine's tests marked gpu"),
        ("again", {"took_s": 301.0}, "one run takes"),
        ("store", {"took_s": 421.0}, "storing it (5 launches) takes"),
        ("calibrate-2", {"took_s": 1000.0}, "the rest of the proof takes"),
        ("standard-2", {"took_s": 700.0}, "the standard tier (1 launch) takes"),
        ("standard-3", {"failed": 1, "failures": ["test_it"]}, "cases of the standard tier"),
        ("standard-1", {"code": 2, "passed": 7}, "cases of the standard tier"),
        ("again", {"took_s": 150.0}, "time inside set-up and steps"),
    ],
)
def test_a_slice_that_found_otherwise_refutes_its_line(
    rows: Rows, slice_name: str, change: dict[str, Any], what: str
) -> None:
    assert rows({slice_name: change})[what].held is False


def test_tests_that_are_skipped_prove_nothing(rows: Rows) -> None:
    assert rows({"tests": {"passed": 0, "skipped": 30}})["the engine's tests marked gpu"].held is None


def test_false_regressions_are_found_in_verdicts_and_between_the_launches_of_both_runs(
    rows: Rows, tmp_path: Path
) -> None:
    what = "false regressions on the second run"
    blamed = run_of(tmp_path / "blamed.jsonl", verdict("operator_calls", "regressed", 0.01))
    assert "operator_calls +1.0% against baselines" in rows(again=blamed)[what].found
    judged = {**verdict("step_time_s", "inconclusive"), "why": "baseline too young"}
    slower = run_of(tmp_path / "slower.jsonl", judged, steps_s=(0.03, 0.0301, 0.02995))
    line = rows(again=slower)[what]
    assert line.held is True  # a baseline of one session decides no times
    line = rows(again=slower)[f"{what}, launch by launch"]
    assert line.held is False
    assert "training test_batch_size[gpt2-quick-8] step_time_s +50" in line.found


def test_a_slowdown_must_be_caught_in_every_case_and_nothing_else(rows: Rows) -> None:
    alarmed = [{"case": "a", "spread": 0.02, "detections": [{**DETECTIONS[0], "regressed": 0.01}, DETECTIONS[1]]}]
    caught, called = "a slowdown of 3%, called slower", "duets without a slowdown, called slower"
    assert rows({"calibrate-3": {"cases": duets_of("a", "b", "c", missed=0.1)}})[caught].held is False
    assert rows({"calibrate-3": {"cases": [*alarmed, *duets_of("b", "c")]}})[called].held is False
    # What is told of a case judged alone does not count once it was judged together with the others.
    assert rows({"calibrate-1": {"cases": duets_of("a", missed=0.5)}})[caught].held is True


@pytest.mark.parametrize(
    ("slice_name", "what"),
    [
        ("again", "one run takes"),
        ("standard-2", "cases of the standard tier"),
        ("standard-2", "the standard tier (1 launch) takes"),
    ],
)
def test_a_slice_that_was_cut_decides_nothing(rows: Rows, slice_name: str, what: str) -> None:
    assert rows()[what].held is True
    assert rows({slice_name: {"cut": True}})[what].held is None


def test_a_growth_must_be_blamed_on_memory_and_not_have_been_before(rows: Rows, tmp_path: Path) -> None:
    what = "a growth of memory, called a regression"
    unseen = run_of(tmp_path / "unseen.jsonl", verdict("peak_memory_bytes"))
    blamed = run_of(tmp_path / "before.jsonl", verdict("peak_memory_bytes", "regressed", 0.1))
    assert rows(growth=unseen)[what].held is False
    assert rows(again=blamed)[what].held is False


@pytest.mark.parametrize(
    ("peak", "predicted", "held"),
    [
        (2 * GIB, 2.09 * GIB, True),
        (2 * GIB, 2.11 * GIB, False),
        (200 * MIB, 206 * MIB, True),  # 136 MiB without workspaces, of which 5% are 6.8
        (200 * MIB, 208 * MIB, False),
        (100 * MIB, 104 * MIB, True),
        (100 * MIB, 105 * MIB, False),
        (100 * MIB, 36 * MIB, False),  # without the rule for workspaces
    ],
)
def test_a_prediction_is_near_net_of_workspaces(peak: float, predicted: float, held: bool) -> None:
    assert bar.near(Measured(CASE, peaks=(peak,), predicted_bytes=predicted, workspace_bytes=64 * MIB)) is held


def test_the_workspaces_are_those_of_the_dry_run(runs: dict[str, RunFile]) -> None:
    (found,) = measured(runs["store"])
    assert found.workspace_bytes == 64 * MIB


def test_one_prediction_in_ten_may_be_far(rows: Rows) -> None:
    near, far = (Measured(CASE, peaks=(2 * GIB,), predicted_bytes=size * GIB) for size in (2, 3))
    what = "predicted peak within 5%, net of workspaces (or 4 MiB)"
    assert rows(cases=[near] * 9 + [far])[what].held is True
    assert rows(cases=[near] * 8 + [far])[what].held is False


@pytest.mark.parametrize(
    ("busy", "apart", "held"), [(0.95, 0.009, True), (0.95, 0.02, False), (0.5, 0.02, True), (None, 0.031, False)]
)
def test_launches_of_a_busy_device_must_agree_better(rows: Rows, busy: float | None, apart: float, held: bool) -> None:
    case = Measured(CASE, 0.02, 3, apart, busy)
    assert rows(cases=[case])["launches of a case agree in time"].held is held


def test_a_peak_may_move_only_where_the_case_is_demoted_by_name(rows: Rows) -> None:
    what = "launches of a case agree in peak memory"
    moved = replace(Measured(CASE), peaks=(1.0 * GIB, 1.5 * GIB))
    assert rows(cases=[moved])[what].held is False
    assert rows(cases=[moved], demoted=(CASE,))[what].held is True


def test_a_slice_goes_on_where_the_one_before_ended_in_another_folder(tmp_path: Path, runs: dict[str, RunFile]) -> None:
    out = tmp_path / "out"
    for number, one in enumerate(SLICES):
        place = Place(out, tmp_path / f"work{number}", "cuda")
        place.work.mkdir()
        place.open()
        assert len(list(place.runs.iterdir())) == number
        (place.runs / f"{one.name}.jsonl").write_text((tmp_path / "store.jsonl").read_text())
        place.log("a line\n")
        place.keep(one.name, {**FOUND[one.name], "took_s": 1.0})
        page, _ = summary(place, TIERS["cuda"])
        place.write("summary.md", page)
    assert list(place.state()["slices"]) == [one.name for one in SLICES]
    assert sorted(path.name for path in out.iterdir()) == [
        "baselines.tar.gz", "log.txt", "runs.tar.gz", "state.json", "summary.md",
    ]  # fmt: skip
    assert "| `training test_batch_size[gpt2-quick-8]` | 20 ms | 0.8% | 95% | 10% | 3% |" in page
    dry = Place(out, tmp_path / "work0", "dry")
    with pytest.raises(UserError, match="was begun in mode cuda"):
        dry.open()


def test_what_takes_too_long_is_interrupted_and_what_breaks_costs_itself_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.proof import __main__ as proof

    monkeypatch.setattr(proof, "show", lambda place: ("", []))
    # What runs in the background of a shell is not interrupted, and has to be killed.
    monkeypatch.setattr("benchmarks.proof.bench.PATIENCE_S", 2.0)
    place = Place(tmp_path / "out", tmp_path, "dry")
    place.open()
    bench = Bench(place, 0.0)
    begun = []

    def slow(bench: Bench) -> dict[str, Any]:
        begun.append("slow")
        return {"code": bench.run("timeit", "-n", 1, "-r", 1, "import time; time.sleep(60)")[0]}

    def broken(bench: Bench) -> dict[str, Any]:
        begun.append("broken")
        raise OSError("nothing there")

    slices = [Slice("slow", "", 0, slow), Slice("broken", "", 0, broken), Slice("later", "", 600, slow)]
    assert [one.name for one in proof.taken(bench, slices)] == ["slow", "later"]
    assert begun == ["slow", "broken"]
    found = place.state()["slices"]
    assert (found["slow"]["code"] != 0, found["slow"]["cut"], "cut" in found["broken"]) == (True, True, False)
    assert found["slow"]["took_s"] < 60  # which it would have slept
    assert found["broken"]["code"] == "OSError: nothing there"


def test_a_slice_whose_cases_did_not_begin_in_time_is_left_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its run ends by itself, and by pytest's exit code nothing is wrong with it."""
    from benchmarks.proof import __main__ as proof

    late = {**verdict("step_time_s", "inconclusive"), "why": f"not measured: {SPENT}; never measured here"}

    def measured_late(bench: Bench) -> dict[str, Any]:
        run_of(bench.place.runs / "store.jsonl", late)
        return {"code": 0}

    monkeypatch.setattr(proof, "SLICES", (Slice("store", "", 0, measured_late), *SLICES[-1:]))
    monkeypatch.setattr(sys, "argv", ["ci/gpu-proof", "--dry", "--out", str(tmp_path / "out")])
    for _ in range(2):
        assert proof.main() == 0
        told = capsys.readouterr().out
        assert "| cut, to be done again |" in told
        assert "Left to do: store. Go on with: ci/gpu-proof" in told
        assert told.strip().endswith("--dry --limit 720")  # it had all of the time, and needs more
        assert "| cases measured | all |  | not told |" in told


class Planned(Bench):
    """Plans on an H100 what a slice would measure, in place of measuring it."""

    planned_s: ClassVar[list[float]] = []  # of all slices, in their order

    def measure(self, name: str, *arguments: Any, more: Any = ()) -> int:
        del name, more
        self.planned_s.append(SESSION_S + sum(seconds for seconds, _ in plan(arguments)))
        return 0

    def run(self, module: str, *arguments: Any, more: Any = ()) -> tuple[int, str]:
        del module, more
        words = [str(word) for word in arguments]
        duets = 2 * int(words[words.index("--duets") + 1])  # with and without a slowdown
        ((_, step),) = plan([words[words.index("--") + 1], "--perf-tier", CUDA.largest])
        start_s = 2 * (session_cost.START_S + session_cost.SETUP_S + session_cost.PROFILER_S)
        self.planned_s.append(SESSION_S + duets * (start_s + session_cost.duet_s(step)))
        return 1, ""


def plan(arguments: Any) -> list[tuple[float, float]]:
    """Seconds of each case, and of its step, as ``--perf-plan`` tells them."""
    words = [str(word) for word in arguments if not str(word).startswith("--junitxml")]
    tier = [] if "--perf-tier" in words or "perf_tests" in words else ["--perf-tier", CUDA.largest]
    asked = ["--collect-only", "-q", "--perf-device=none", "--perf-plan=h100-sxm-80gb", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *words, *tier, *asked, "--perf-env", "installed"]
    told = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    found = re.findall(r"^ *([\d.]+) s  perf_tests.*\(a step of ([\d.,]+) ms", told.stdout, re.MULTILINE)
    assert found, told.stdout
    return [(float(seconds), float(step.replace(",", "")) / 1e3) for seconds, step in found]


@pytest.mark.slice
def test_each_slice_fits_by_its_plan_into_one_invocation_and_into_its_bar(tmp_path: Path) -> None:
    place = Place(tmp_path / "out", tmp_path, "cuda")
    place.open()
    measuring = [one for one in SLICES if one.name not in ("doctor", "tests", "peaks")]
    found: dict[str, float] = {}
    for one in measuring:
        one.work(Planned(place, 0.0))
        found[one.name] = Planned.planned_s.pop()
    assert {one.name: (found[one.name], one.expected_s) for one in measuring if found[one.name] > one.expected_s} == {}
    assert max(one.expected_s for one in SLICES) <= LIMIT_S - RESERVE_S
    took = {one.name: {"took_s": found.get(one.name, one.expected_s)} for one in SLICES}
    assert [line for line in durations(took) if not line[3]] == []


def test_ends_of_tests_are_counted(tmp_path: Path) -> None:
    report = tmp_path / "junit.xml"
    cases = '<testcase classname="a" name="x"/><testcase classname="a" name="y"><skipped/></testcase>'
    report.write_text(f'<suites><suite>{cases}<testcase classname="a" name="z"><failure/></testcase></suite></suites>')
    assert counted(report) == {"passed": 1, "skipped": 1, "failed": 1, "failures": ["a::z"]}


def locked_for_linux() -> set[str]:
    """The packages that ``ci/setup`` installs on Linux, as its lock says."""
    lines = (ROOT / "ci" / "requirements.lock").read_text().splitlines()
    locked = [Requirement(line.removesuffix("\\")) for line in lines if re.match(r"[\w.-]+==", line)]
    return {
        canonicalize_name(one.name)
        for one in locked
        if not one.marker or one.marker.evaluate({"sys_platform": "linux", "python_version": wheels.PYTHON})
    }


def test_wheels_fit_into_60_mb_and_are_as_pinned() -> None:
    pins = dict(line.split("==") for line in (ROOT / "ci/constraints.txt").read_text().splitlines() if "==" in line)
    for wheel in wheels.WHEELS:
        assert wheel.version.startswith(pins.get(wheel.name, "").rstrip("*"))
        assert wheels.numbers(wheel.version) >= wheels.numbers(wheel.least)
        assert canonicalize_name(wheel.name) in locked_for_linux(), "the project needs no such package"
    large = [wheel.name for wheel in wheels.WHEELS if wheel.large]
    for name in large:
        assert wheels.chosen([name])
    with pytest.raises(UserError, match="more than 60 MB"):
        wheels.chosen(large)


def test_at_most_a_dozen_cases_that_exist() -> None:
    assert all(
        set(tier.calibrated) | {tier.grown} <= set(tier.cases) and len(tier.cases) <= 12 for tier in TIERS.values()
    )
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "--perf-tier", CUDA.largest, *CUDA.cases]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert set(CUDA.cases) <= set(done.stdout.splitlines())


def test_the_help_tells_slices_and_wheels_and_a_wrong_folder_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("mine")
    command = [str(ROOT / "ci" / "gpu-proof")]
    environment = os.environ | {"PYTHON": sys.executable}
    told = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True, env=environment).stdout
    assert all(one.name in told for one in SLICES)
    assert all(wheel.name in told for wheel in wheels.WHEELS)
    done = subprocess.run(
        [*command, "--dry", "--out", str(tmp_path)], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 2
    assert done.stderr.startswith("ci/gpu-proof: ")
    assert "is not empty; name another folder" in done.stderr


def test_an_emulated_card_is_held_to_no_line_about_time(rows: Rows) -> None:
    found = rows(timed=False)
    assert rows().keys() - found.keys() == {
        "a slowdown of 3%, called slower",
        "duets without a slowdown, called slower",
        "cases of the standard tier",
        "launches of a case agree in time",
        "one run takes",
        "storing it (5 launches) takes",
        "the rest of the proof takes",
        "the standard tier (1 launch) takes",
        "time inside set-up and steps",
    }
    assert all(row.held for row in found.values())


@pytest.mark.skipif(CUDA_BUILD, reason="this torch is built for CUDA")
def test_a_torch_without_cuda_has_no_emulated_card(tmp_path: Path) -> None:
    command = [str(ROOT / "ci" / "gpu-proof"), "--emulated", "--out", str(tmp_path / "out")]
    environment = os.environ | {"PYTHON": sys.executable}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("ci/gpu-proof: ")
    assert not (tmp_path / "out").exists()
