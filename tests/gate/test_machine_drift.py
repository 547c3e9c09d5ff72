"""The yardstick's components: kept apart; a verdict on a time is suspended only where they moved against each other."""

import json
import shutil
import subprocess

import pytest

from perfgate.actor.devices.driver import Driver, DriverError
from perfgate.actor.yardsticks.cuda import PTX
from perfgate.gate.machine_drift import drifted, moved
from perfgate.records.baseline_files import dump, load_file
from perfgate.records.runfile import read
from tests.plugin.test_scripted_device import CASE as FAKE_CASE
from tests.plugin.test_scripted_device import KEY, bench
from tests.support.runs import CASE, MACHINE, SOFTWARE, baseline, write_baselines

assert bench, "a fixture, used by name"

PARTS = {"matmul_s": 0.002, "python_s": 0.003, "copy_s": 0.001}


def parts(matmul=1.0, python=1.0, copy=1.0, jitter=0.0):
    """The components' times, each by a factor."""
    factors = {"matmul_s": matmul, "python_s": python, "copy_s": copy}
    return {name: PARTS[name] * factor * (1 + jitter) for name, factor in factors.items()}


SESSIONS = {f"s{n}": [parts(copy=1 + 0.004 * n, jitter=0.01 * k) for k in range(3)] for n in range(4)}


def test_a_component_that_moved_against_another_is_named_with_both():
    found = moved(SESSIONS, [parts(matmul=1.4, jitter=0.01 * k) for k in range(3)])
    assert found is not None
    assert (found.slower, found.other) in {("matmul_s", "python_s"), ("matmul_s", "copy_s")}
    assert found.change == pytest.approx(0.4, abs=0.03)
    assert "matmul +" in str(found)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.5, 3.0])
def test_a_machine_that_is_slower_alike_is_not_another_one(factor):
    now = [parts(factor, factor, factor, 0.01 * k) for k in range(3)]
    assert moved(SESSIONS, now) is None
    assert (drifted(SESSIONS, now) is not None) == (factor > 1)


def test_little_movement_few_sessions_and_no_launch_decide_nothing():
    far = [parts(matmul=1.5, jitter=0.01 * k) for k in range(3)]
    assert moved(SESSIONS, [parts(matmul=1.05, jitter=0.01 * k) for k in range(3)]) is None
    assert moved(dict(list(SESSIONS.items())[:2]), far) is None
    assert moved(SESSIONS, []) is None


GPU = {"arithmetic_s": 0.002, "copy_s": 0.001, "launches_s": 0.003}
GPU_SESSIONS = {f"s{n}": [{part: s * (1 + 0.01 * k) for part, s in GPU.items()} for k in range(3)] for n in range(4)}


@pytest.mark.parametrize(("host_share", "explained"), [(1.0, 0.6), (0.05, 0.03), (0.0, 0.0)])
def test_another_host_explains_no_more_than_what_the_host_takes_of_a_step(host_share, explained):
    found = moved(GPU_SESSIONS, [{**GPU, "launches_s": 0.00405}] * 3, host_share)
    assert found is not None
    assert found.slower == "launches_s"
    assert found.allowed == pytest.approx(explained, abs=0.05 * host_share)
    device = moved(GPU_SESSIONS, [{**GPU, "copy_s": 0.00135}] * 3, host_share)
    assert device is not None
    assert device.slower == "copy_s"
    assert device.explains(0.5)


def test_components_are_stored_and_read_back_and_what_is_none_is_refused(tmp_path):
    from dataclasses import replace

    plain = baseline({"s0": [{"step_time_s": (0.02, 4.0)}]})
    stored = replace(plain, launches=tuple(replace(launch, parts=parts()) for launch in plain.launches))
    path = write_baselines(tmp_path, stored)
    assert load_file(path, tmp_path)[CASE].launches[0].parts == parts()
    text = dump({CASE: stored}, MACHINE, SOFTWARE)
    path.write_text(text.replace('"copy_s": 0.001', '"copy_s": 0'))
    with pytest.raises(Exception, match="key 'parts' is not an object of finite numbers above 0"):
        load_file(path, tmp_path)


@pytest.mark.slice
def test_a_time_is_suspended_where_components_moved_and_judged_where_all_are_slower(bench):
    bench.write(FAKE_CASE)
    bench.sessions()
    slower = {"arithmetic": 0.004, "copy": 0.002, "launches": 0.006}
    bench.script(yardstick=slower)
    bench.run()
    assert bench.verdicts()["step_time_s"] != "regressed"
    bench.script(step_time_s=0.02, yardstick={"copy": 0.002})
    bench.run()
    (verdict,) = [found for found in read(bench.run_files[-1]).verdicts if found.metric == "step_time_s"]
    assert verdict.case == KEY
    assert verdict.verdict == "inconclusive"
    assert "components moved against each other: copy +" in verdict.why
    assert "(regressed)" in verdict.why
    bench.script(step_time_s=0.1, yardstick={"copy": 0.002})
    bench.run()
    assert bench.verdicts()["step_time_s"] == "regressed", "ten times the time is more than half the copying explains"
    bench.script(step_time_s=0.02)
    bench.run()
    assert bench.verdicts()["step_time_s"] == "regressed"


def test_the_yardstick_of_a_session_is_kept_by_components_with_each_launch(bench):
    bench.write(FAKE_CASE)
    bench.script(step_time_s=0.03, noise=0.0, yardstick={"copy": 0.005})
    bench.run("--perf-update", "new").assert_outcomes(passed=1)
    for launch in bench.launches():
        assert launch.yardstick_kind == "fake"
        assert launch.parts == pytest.approx({"arithmetic_s": 0.002, "copy_s": 0.005, "launches_s": 0.003})
    rows = json.loads(bench.baselines[0].read_text())["rows"]
    assert [row["parts"]["copy_s"] for row in rows if "parts" in row] == pytest.approx([0.005] * len(bench.launches()))


@pytest.mark.skipif(shutil.which("ptxas") is None, reason="assembling PTX needs ptxas, of the CUDA toolkit")
def test_the_kernels_are_ptx(tmp_path):
    source = tmp_path / "yardstick.ptx"
    source.write_bytes(PTX)
    done = subprocess.run(
        ["ptxas", "-arch=sm_90", "-o", str(tmp_path / "yardstick.cubin"), str(source)], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_driver_that_is_not_there_is_said():
    with pytest.raises(DriverError, match="the CUDA driver cannot be used"):
        Driver("libnowhere.so")
