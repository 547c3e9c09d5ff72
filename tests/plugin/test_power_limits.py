"""A sweep over power limits on a scripted device: what is measured, what is refused, and the limit afterwards."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from perfgate.measure.devices.fake import FakePower
from perfgate.records.runfile import read
from tests.plugin.test_scripted_device import LOCK_IS_FREE, Bench
from tests.support.runs import perfgate

USUAL_W = 300
SCRIPT = {
    "power_limit_w": USUAL_W,
    "power_limits_w": [100, 400],
    "noise": 0.0,
    "step_time_s": 0.01,
    "power_w": 280,
    "under_limit_w": {
        "150": {"step_time_s": 0.02, "power_w": 120},
        "200": {"step_time_s": 0.0125, "power_w": 180},
    },
}
CASES = """
@pytest.mark.parametrize("rounds", [1, 2])
def test_it(perf, rounds):
    perf(Workload("programs:Spin", {"rounds": rounds}, "tiny", {"rounds": rounds}))


@pytest.mark.perf(dry=True)
def test_dry(perf):
    perf(work(rounds=1))


def test_effect(effect):
    effect(work(rounds=1), work(rounds=2), step_time_s="< 9x")
"""
SWEEP = "--perf-power-limits"


class LimitedBench(Bench):
    """A suite on one scripted device with a power limit."""

    def script(self, **device):
        super().script(**{**SCRIPT, **device})

    @property
    def limit_w(self):
        return FakePower(str(self.path / "gpu.json"), self.uuid(0)).read().set_w

    def run_beside(self, *arguments):
        """A run in a session of its own, as a terminal starts one."""
        command = [sys.executable, "-m", "pytest", "perf_tests", "--perf-device", "fake:gpu.json", *arguments]
        # Where this test itself runs in the background of a shell, it would inherit that SIGINT is ignored.
        typed = {"start_new_session": True, "preexec_fn": partial(signal.signal, signal.SIGINT, signal.SIG_DFL)}
        return subprocess.Popen(command, cwd=self.path, stdout=subprocess.PIPE, text=True, **typed)


@pytest.fixture
def bench(pytester) -> LimitedBench:
    """A suite on one scripted device."""
    return LimitedBench(pytester)


def until(true: Callable[[], object]) -> None:
    """Wait until something is so."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def watchdogs(bench: LimitedBench) -> list[int]:
    """Process ids of those that watch this test's runs."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().decode().split("\0")
        except OSError:
            continue
        if "perfgate.measure.power_watchdog" in words and bench.tag in " ".join(words):
            found.append(int(entry.parent.name))
    return found


@pytest.mark.slice
def test_each_case_is_measured_under_each_limit_and_held_against_nothing(bench):
    bench.write(CASES)
    bench.run("--perf-update", "new", "-k", "test_it and 1").assert_outcomes(passed=1)
    stored = bench.baselines[0].read_text()

    result = bench.run(SWEEP, "150,200,300")

    result.assert_outcomes(passed=6, deselected=4)
    result.stdout.fnmatch_lines(
        [
            "*ok test_case.py::test_it[[]1-150W]: under 150 W: 20*ms a step, 2.4*J a step*",
            "6 cases measured.*",
            "Nothing was compared. Time over energy: *",
        ]
    )
    run = read(bench.run_files[-1])
    assert list(run.verdicts) == []
    found = {}
    for case, launches in run.by_case().items():
        timed = [launch for launch in launches if launch.pass_name == "time"]
        found[case.partition("::")[2]] = timed[0].value("step_time_s"), timed[0].value("energy_j")
        assert {f"{launch.details.seen.power_limit_w:g}W" in case for launch in timed} == {True}
    expected = {"150W": (0.02, 2.4), "200W": (0.0125, 2.25), "300W": (0.01, 2.8)}
    for rounds in (1, 2):
        for limit, values in expected.items():
            assert found[f"test_it[{rounds}-{limit}]"] == pytest.approx(values)
    identities = {line["workload"]: line["spec"].get("power_limit_w") for line in run.workloads.values()}
    assert sorted(identities.values(), key=str) == [150, 150, 200, 200, None, None]
    assert {launch.details.energy.energy_from for launch in run.launches if "energy_j" in launch.metrics} == {"fake"}
    assert bench.limit_w == USUAL_W
    assert watchdogs(bench) == []
    assert bench.baselines[0].read_text() == stored

    told = perfgate("compare-settings", bench.run_files[-1]).stdout
    table = told.partition("time over energy")[2]
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in table.splitlines() if "rounds=1" in line]
    assert [(front, limit.partition("=1, ")[2], time, energy) for front, limit, time, energy in rows] == [
        ("*", "power_limit_w=300", "2.5 ms", "0.7 J"),
        ("*", "power_limit_w=200", "3.12 ms", "0.5625 J"),
        ("", "power_limit_w=150", "5 ms", "0.6 J"),
    ]


def test_what_a_sweep_cannot_do_is_refused_in_a_sentence_before_anything_is_measured(bench):
    bench.write(CASES)
    refused = {
        (f"{SWEEP}=150,500",): "*--perf-power-limits: 500 W is outside of what * can be limited to, 100 to 400 W",
        (f"{SWEEP}=150", "--perf-update=new"): "*is held against nothing and never stored; leave out --perf-update",
        (f"{SWEEP}=150", "-n1"): "*leave out -n",
        (f"{SWEEP}=150,x",): "*--perf-power-limits is 'x'; it must be a whole number above 0",
        (f"{SWEEP}=150", "--perf-device=cpu"): "*needs a GPU, and this run measures on cpu*",
        (f"{SWEEP}=150", "--perf-device=none"): "*needs a GPU, and --perf-device none has no device",
    }
    for arguments, sentence in refused.items():
        result = bench.run(*arguments)
        assert result.ret == pytest.ExitCode.USAGE_ERROR
        result.stderr.fnmatch_lines([f"ERROR: {sentence}"])
    bench.script(permits_limits=False)
    result = bench.run(SWEEP, "150")
    result.stderr.fnmatch_lines(["ERROR: the power limit of * cannot be set: this user may not set it, only root may"])
    assert bench.run_files == []
    assert bench.limit_w == USUAL_W


def test_a_limit_that_is_not_honoured_fails_its_case_and_a_crash_leaves_the_former_limit(bench):
    bench.write(CASES)
    bench.script(goes_up_to_w=320, launches={"time": [{"events": {"5": "crash"}}] * 2})

    result = bench.run(SWEEP, "350,150", "-k", "1-")

    result.assert_outcomes(failed=2, deselected=5)
    result.stdout.fnmatch_lines(
        [
            "*was limited to 350 W, and its driver tells 320 W, of which 320 W are in force*",
            "*test_it[[]1-150W] could not be measured: *the fake device fell off the bus*",
        ]
    )
    assert bench.limit_w == USUAL_W


def test_a_launch_under_a_limit_that_somebody_else_set_is_no_measurement_of_this_machine(bench):
    bench.write(CASES)
    bench.run("--perf-update", "new", "-k", "test_it and 1").assert_outcomes(passed=1)
    (bench.path / "conftest.py").write_text(
        "import pytest\nfrom perfgate.measure.devices.fake import FakePower\n\n\n"
        "@pytest.fixture(autouse=True)\ndef lowered(perfgate_perf):\n"
        f"    FakePower('gpu.json', {bench.uuid(0)!r}).set(200)\n"
    )

    result = bench.run("-k", "test_it and 1")

    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*invalid (other power limit: the device had 200 W, and not 300 W)*"])


@pytest.mark.parametrize("how", ["killed", "interrupted"])
@pytest.mark.slice
def test_the_former_limit_comes_back_when_a_run_is_killed_or_interrupted(bench, how):
    bench.write(CASES)
    run = bench.run_beside(SWEEP, "150", "-o", "perf_launches=500")
    until(lambda: bench.limit_w == 150)
    until(lambda: watchdogs(bench))
    (watchdog,) = watchdogs(bench)
    assert os.getsid(watchdog) != os.getsid(run.pid)

    if how == "killed":
        os.kill(watchdog, signal.SIGINT)  # it does not listen
        run.kill()
    else:
        os.killpg(run.pid, signal.SIGINT)

    until(lambda: bench.limit_w == USUAL_W)
    run.communicate(timeout=60)
    assert run.returncode == (-signal.SIGKILL if how == "killed" else pytest.ExitCode.INTERRUPTED)
    until(lambda: not watchdogs(bench))
    subprocess.run([sys.executable, "-c", LOCK_IS_FREE, bench.uuid(0)], check=True)
