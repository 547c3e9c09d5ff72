"""The whole path of a GPU through scripted devices: bursts, verdicts, disturbed launches, locks, workers."""

import itertools
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from perfgate.measure.devices.find import find_device
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.schedule import measure
from perfgate.measure.stage import Stage
from perfgate.records.runfile import read
from perfgate.shared.workload import Workload
from tests import SUPPORT
from tests.conftest import Suite

CASE = "def test_it(perf):\n    perf(work(rounds=1))"
KEY = "test_case.py::test_it"
LASTING = ("throttled", "power_brake")
FAULTS = ("throttled", "power_brake", "contended", "out_of_memory", "crash", "killed")
ALLOWED = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
STORED = []
HARMLESS = ("power_capped", None, None, None)
LOCK_IS_FREE = """
import sys
from perfgate.system.locks import DeviceLock
for name in sys.argv[1:]:
    lock = DeviceLock(name)._lock
    lock.acquire_write(blocking=False)
    lock.release()
"""


class Bench(Suite):
    """A suite with a script of devices, whose UUIDs are this test's own."""

    def __init__(self, pytester):
        super().__init__(pytester, launches=2)
        self.tag = f"GPU-{os.getpid()}-{random.randrange(1 << 30):x}"
        self.script()

    def script(self, *devices, **device):
        """Write the script: one device with these properties, or several."""
        described = devices or [device]
        rows = [{"uuid": self.uuid(number), "noise": 0.003, **entry} for number, entry in enumerate(described)]
        (self.path / "gpu.json").write_text(json.dumps({"devices": rows}))

    def uuid(self, number):
        return f"{self.tag}-{number}"

    def run(self, *arguments):
        return super().run("--perf-device", "fake:gpu.json", *arguments)

    def sessions(self):
        """Store a baseline and add sessions to it; what the first test stored serves the others."""
        path = self.path / "baselines" / "fake-gpu-1gib" / "test_case.json"
        if not STORED:
            for mode in ("new", "more", "more"):
                self.run("--perf-update", mode).assert_outcomes(passed=1)
            STORED.append(path.read_text())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(STORED[0])

    def launches(self, pass_name="time"):
        return [launch for launch in read(self.run_files[-1]).launches if launch.pass_name == pass_name]

    def verdicts(self):
        return {verdict.metric: verdict.verdict for verdict in read(self.run_files[-1]).verdicts}


@pytest.fixture
def bench(pytester) -> Bench:
    """A suite on one fake device; it takes no real timing."""
    return Bench(pytester)


def faulty(event, launches=5, at=8, pass_name="time"):
    """An event in each of the first launches of a pass; what disturbs a launch lasts, from that step on."""
    when = f"{at}-" if event in LASTING else str(at)
    return {"launches": {pass_name: [{"events": {when: event}}] * launches}}


def test_a_launch_is_timed_in_bursts_by_the_devices_clock(bench):
    bench.write(CASE)
    bench.script(step_time_s=0.03, noise=0.0)
    bench.run().assert_outcomes(passed=1)
    for launch in bench.launches():
        assert launch.details.turns.burst_steps == 4
        assert launch.metrics["step_time_s"] == pytest.approx([0.03] * len(launch.metrics["step_time_s"]))
        assert launch.metrics["device_time_s"] == pytest.approx([0.024] * 2)
        assert launch.metrics["host_time_s"] == pytest.approx([0.006] * len(launch.metrics["step_time_s"]))
        assert launch.metrics["host_bound_share"] == pytest.approx(0.2)
        assert launch.metrics.get("energy_j") == (None if launch.launch else pytest.approx(3.0))
        assert launch.yardstick_s is None
        assert launch.parts == pytest.approx({"arithmetic_s": 0.002, "copy_s": 0.001, "launches_s": 0.003})
        assert launch.other is None
        assert launch.details.seen.device == bench.uuid(0)
        assert launch.details.start.launched == "forked"
    bench.script(step_time_s=0.012, noise=0.0, idle_w=25.0)
    bench.run()
    first = next(launch.metrics for launch in bench.launches() if "energy_j" in launch.metrics)
    # It takes 100 W in a step, of which 25 W are taken all the same.
    told = {"energy_j": 1.2, "energy_per_sample_j": 0.3, "idle_power_w": 25.0, "idle_energy_share": 0.25}
    assert {name: first.get(name) for name in told} == pytest.approx(told)
    assert {launch.details.turns.burst_steps for launch in bench.launches()} == {9}


def test_two_runs_of_one_script_measure_the_same_to_the_bit_and_the_baseline_names_the_device(bench):
    bench.write(CASE)
    measured = []
    for mode in ("new", "all"):
        for state in bench.path.glob("*.state"):
            state.unlink()
        bench.run("--perf-update", mode, "--perf-reason", "again")
        measured.append([launch.metrics["step_time_s"] for launch in bench.launches()])
    assert measured[0] == measured[1]
    rows = json.loads(bench.baselines[0].read_text())
    assert rows["machine"]["name"] == "fake-gpu-1gib"
    assert {row["device"] for row in rows["rows"] if "device" in row} == {bench.uuid(0)}


@pytest.mark.slice
def test_a_slower_step_and_a_higher_peak_fail_the_case_and_nothing_else_does(bench):
    bench.write(CASE)
    bench.sessions()
    bench.run()
    assert "regressed" not in bench.verdicts().values()
    bench.script(step_time_s=0.012)
    result = bench.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["step_time_s got worse by *", "Accept it with: *--perf-device fake:gpu.json*"])
    bench.script(peak_bytes=1_006_000)
    bench.run().stdout.fnmatch_lines([f"{KEY}: peak_memory_bytes got worse by +0.60%*"])


@pytest.mark.parametrize(
    ("device_s", "worse", "told"),
    [
        (0.010, "device_time_s", "its kernels take [12]* ms more and the device waits for the host *"),
        (0.008, "host_time_s", "its kernels take * and the device waits for the host [12]* ms more"),
    ],
)
def test_a_slower_step_says_whether_its_kernels_or_the_host_became_slower(bench, device_s, worse, told):
    bench.write(CASE)
    bench.sessions()
    bench.script(step_time_s=0.012, device_time_s=device_s)
    bench.run().stdout.fnmatch_lines([f"{KEY}: step_time_s got worse by *{told}*"])
    slower = {name for name, verdict in bench.verdicts().items() if verdict == "regressed"}
    assert slower == {"step_time_s", worse}


@pytest.mark.slice
def test_times_at_another_clock_are_judged_only_beyond_what_the_clock_explains(bench):
    bench.write(CASE)
    bench.sessions()
    path = bench.path / "baselines" / "fake-gpu-1gib" / "test_case.json"
    timed = '"metrics": {"step_time_s"'
    path.write_text(path.read_text().replace(timed, f'"clock_mhz": 1800.0, {timed}'))
    found = {}
    for step_s in (0.01, 0.012, 0.018):  # as fast, 20% slower and 80% slower, at a clock two thirds as high
        bench.script(step_time_s=step_s, clock_mhz=1200)
        bench.run()
        found[step_s] = bench.verdicts()["step_time_s"]
    assert found == {0.01: "inconclusive", 0.012: "inconclusive", 0.018: "regressed"}
    bench.script(clock_mhz=1750)
    bench.run()
    assert bench.verdicts()["step_time_s"] == "pass"


def test_the_time_in_kernels_is_gated_from_the_first_session_on(bench):
    bench.script(noise=0.0005)
    bench.write(CASE)
    bench.run("--perf-update", "new").assert_outcomes(passed=1)
    bench.run()
    assert bench.verdicts()["device_time_s"] == "pass"
    assert bench.verdicts()["step_time_s"] == "inconclusive"
    bench.script(step_time_s=0.018, device_time_s=0.016, noise=0.0005)
    result = bench.run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([f"{KEY}: device_time_s got worse by *sessions are taken to differ by 1%*"])
    assert bench.verdicts()["step_time_s"] == "inconclusive"


def test_an_effect_on_one_of_the_two_times_is_decided_by_duets(bench):
    bench.write(
        "def test_it(effect):\n"
        "    effect(work(rounds=1), work(rounds=2), device_time_s={'fake': '< 0.7x'}, host_time_s={'fake': '> 0.9x'})"
    )
    # The first side of each duet is vanilla's or the setting's in turn.
    vanilla, setting = {}, {"step_time_s": 0.006, "device_time_s": 0.004}
    bench.script(launches={"time": [vanilla, setting, setting, vanilla] * 12})
    bench.run().assert_outcomes(passed=1)
    assert bench.verdicts() == {"device_time_s": "pass", "host_time_s": "pass"}


@pytest.mark.slice
def test_disturbed_launches_are_never_a_pass_and_never_a_regression(bench):
    bench.write(CASE)
    bench.sessions()
    reasons = {
        "throttled": "throttled: the device's clock was held down for *% of the time, as it was too hot",
        "power_brake": "throttled: the device's clock was held down for *% of the time, as its power supply braked it",
        "contended": "contended: process 1 used the device for *% of the time",
        "out_of_memory": "out of memory: MemoryError: the fake device is out of memory",
    }
    for event, reason in reasons.items():
        for state in bench.path.glob("*.state"):
            state.unlink()
        # What disturbs a launch slows it as well.
        bench.script(step_time_s=0.02, **faulty(event))
        result = bench.run()
        program = event == "out_of_memory"
        line = f"*{KEY} could not be measured: {reason}" if program else f"*skipped {KEY}: * invalid ({reason})*"
        result.stdout.fnmatch_lines([line])
        assert bench.verdicts()["step_time_s"] == "invalid"
        assert "regressed" not in bench.verdicts().values()
        assert len(bench.launches()) == (2 if program else 4)
        result.assert_outcomes(failed=int(program), skipped=int(not program))


def test_a_disturbed_launch_is_repeated_and_a_power_cap_or_a_moment_of_heat_is_only_recorded(bench):
    bench.write(CASE)
    happened = ({"8-": "throttled"}, {"9-": "power_capped"}, {"3": "contended"}, {"8": "throttled"})
    bench.script(launches={"time": [{"events": events} for events in happened]})
    bench.run().assert_outcomes(passed=1)
    reasons = [(launch.invalid or "valid").partition(":")[0] for launch in bench.launches()]
    assert reasons == ["throttled", "valid", "contended", "valid"]
    assert [*bench.launches()[1].details.seen.slowdown_s] == ["sw_power_cap"]
    assert bench.launches()[1].details.seen.slowdown_shares["sw_power_cap"] > 0.5
    assert 0 < bench.launches()[3].details.seen.slowdown_shares["hw_thermal_slowdown"] < 0.05
    assert bench.launches()[2].details.seen.others == [1]


def test_a_process_that_draws_on_the_device_is_no_company(bench):
    """As a desktop's: its time is among the driver's samples, and it does not compute."""
    bench.write(CASE)
    bench.script(**faulty("drawn_on"))
    bench.run().assert_outcomes(passed=1)
    seen = [launch.details.seen for launch in bench.launches()]
    assert [(one.others, one.others_share) for one in seen] == [([], 0)] * 2


@pytest.mark.skipif(len(ALLOWED) < 2, reason="there is one core")
def test_the_main_threads_of_a_duet_share_a_core_and_their_other_threads_do_not(bench):
    bench.write("def test_it(effect):\n    effect(work('Placed', at=0), work('Placed', at=1), step_time_s='< 2x')")
    bench.script(cores=ALLOWED[:2])
    bench.run()
    found = [json.loads(line) for line in (bench.path / "placed.jsonl").read_text().splitlines()]
    turns = [process for process, _ in itertools.groupby(found, key=lambda one: one["process"])]
    together = {process for process in turns if turns.count(process) > 1}  # steps in turn with another one
    assert together
    for process in together:
        last = [one for one in found if one["process"] == process][-1]
        assert (last["main"], last["other"]) == (ALLOWED[:1], ALLOWED[:2])


def test_where_processes_are_not_visible_it_is_said_and_nothing_is_rejected(bench):
    bench.write(CASE)
    bench.script(pids_visible=False, **faulty("contended"))
    bench.run().assert_outcomes(passed=1)
    assert {launch.details.seen.others for launch in bench.launches()} == {"cannot tell"}


def test_memory_that_others_took_is_not_the_programs_fault(bench):
    bench.write(CASE)
    events = {"0": "contended", "1": "out_of_memory"}
    bench.script(launches={"memory": [{"events": events}] * 4})
    result = bench.run()
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*(contended: process 1 was on the device, and the launch ended: out of memory: *"])


def test_where_a_fork_does_not_reach_the_device_actors_start_afresh_and_the_run_file_says_so(bench):
    bench.write(CASE)
    bench.script(forks=False)
    bench.run().assert_outcomes(passed=1)
    for launch in bench.launches():
        assert launch.details.start.launched == "spawned"
        assert launch.details.start.why_spawned == "RuntimeError: the fake device cannot be reached after a fork"


def used(bench):
    """UUIDs of the devices that launches ran on, and of which processes on each overlapped."""
    steps = [json.loads(line) for line in (bench.path / "steps").read_text().splitlines()]
    overlapping = set()
    for uuid in {uuid for uuid, _, _ in steps}:
        spans = {}
        for _, pid, when in sorted((row for row in steps if row[0] == uuid), key=lambda row: row[2]):
            begin, _ = spans.get(pid, (when, when))
            spans[pid] = begin, when
        ordered = sorted(spans.values())
        overlapping |= {uuid for (_, end), (begin, _) in itertools.pairwise(ordered) if begin < end}
    return {uuid for uuid, _, _ in steps}, overlapping


WORKERS = "@pytest.mark.parametrize('n', range(8))\ndef test_it(perf, n):\n    perf(work('Witness', target={!r}))"


@pytest.mark.slice
@pytest.mark.parametrize(("visible", "expected"), [(None, (0, 1)), ("3,1", (3, 1))])
def test_workers_share_out_the_devices_that_the_caller_sees(bench, monkeypatch, visible, expected):
    bench.write(WORKERS.format(str(bench.path / "steps")))
    bench.script(*[{}] * (2 if visible is None else 4))
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    bench.run("-n", "4", "-o", "perf_launches=1").assert_outcomes(passed=8)
    devices, overlapping = used(bench)
    assert devices == {bench.uuid(number) for number in expected}
    assert not overlapping
    assert {launch.details.seen.device for launch in bench.launches()} == devices


def test_without_a_visible_device_a_named_one_is_refused_before_anything_starts(bench, monkeypatch):
    bench.write(CASE)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    result = bench.run("-n", "4")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["ERROR: --perf-device fake:gpu.json: no GPU is visible (CUDA_VISIBLE_DEVICES is '-1'); use --perf-device cpu"]
    )


def children(parent):
    """Process ids of a process's children, zombies left out."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, ppid = entry.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(ppid) == parent and state != "Z":
            found.append(int(entry.parent.name))
    return found


def random_passes(source):
    """For each pass and launch an event, or none, at a random step."""
    passes = {}
    for pass_name, last in (("counters", 2), ("memory", 2), ("time", 40)):
        events = [source.choice((*FAULTS * 2, "hang", *HARMLESS * 2)) for _ in range(3)]
        steps = [f"{source.randrange(last)}{'-' * (event in LASTING)}" for event in events]
        passes[pass_name] = [
            {"events": {step: event} if event else {}} for step, event in zip(steps, events, strict=True)
        ]
    return passes


@pytest.mark.slice
def test_random_faults_leave_no_lock_no_process_and_no_wrong_number(tmp_path, monkeypatch):
    (tmp_path / "programs.py").write_text((SUPPORT / "programs.py").read_text())
    monkeypatch.chdir(tmp_path)
    source = random.Random(20)
    workload = Workload("programs:Spin", {"rounds": 1})
    plan = MeasurementPlan(launches=1, memory_launches=1, steps_s=0.02, timeout_s=0.15, device="fake")
    before, uuids, outcomes = set(children(os.getpid())), [], set()
    for batch in range(5):
        uuid = f"GPU-{os.getpid()}-{source.randrange(1 << 30):x}"
        uuids.append(uuid)
        script = tmp_path / f"{batch}.json"
        script.write_text(json.dumps({"devices": [{"uuid": uuid}]}))
        stage = Stage(["programs"], tmp_path / str(batch), plan, servers=1, device=find_device(f"fake:{script}"))
        try:
            stage.start()
            (server,) = set(children(os.getpid())) - before
            for _ in range(10):
                passes = random_passes(source)
                script.write_text(json.dumps({"devices": [{"uuid": uuid, "launches": passes}]}))
                script.with_name(f"{script.name}.{uuid}.state").unlink(missing_ok=True)
                for launch in measure(stage, "case", workload, lambda _: None):
                    (event,) = passes[launch.pass_name][launch.launch]["events"].values() or (None,)
                    outcomes.add((event, launch.pass_name == "time", launch.invalid is None))
                assert not children(server)
        finally:
            stage.close()
        assert set(children(os.getpid())) == before
    disturbing = {(event, timed, True) for event in (*FAULTS, "hang") for timed in (True, False)}
    # Clocks held down and company spoil times, not counts and bytes.
    harmless = {(event, False, True) for event in ("throttled", "power_brake", "contended")}
    assert not outcomes & (disturbing - harmless)
    assert {event for event, _, _ in outcomes} == {*FAULTS, "hang", *HARMLESS}
    subprocess.run([sys.executable, "-c", LOCK_IS_FREE, *uuids], check=True)
