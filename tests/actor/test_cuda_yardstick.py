"""The calls by which the GPU's yardstick reaches the driver, against a driver that does its work on the host."""

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from perfgate.actor.devices.driver import SIGNATURES, DriverError
from perfgate.actor.failures import reason_of
from perfgate.actor.yardsticks.cuda import COPIES, LAUNCHES, VERSION, GpuYardstick
from perfgate.records.launch import YARDSTICK_VERSIONS

HERE = Path(__file__).parent
INCLUDE = Path("/usr/local/cuda/include")

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="building the host's driver needs gcc")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Path of the driver."""
    built = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-I", str(INCLUDE)]
    subprocess.run(["gcc", *flags, "-o", str(built), str(HERE / "fake_cuda.c")], check=True)
    return str(built)


def yardstick(library):
    return GpuYardstick(device=None, version=VERSION, library=library)


def counted(library, name):
    return ctypes.c_int.in_dll(ctypes.CDLL(library), name).value


def test_a_step_does_all_three_and_times_them_apart(library):
    found = yardstick(library)
    before = {name: counted(library, name) for name in ("empty_launches", "copies", "waits")}
    parts = found.work()
    assert parts["arithmetic_s"] == pytest.approx(0.0015)
    assert parts["copy_s"] == pytest.approx(0.0015)
    assert parts["launches_s"] > 0
    done = {name: counted(library, name) - count for name, count in before.items()}
    assert done == {"empty_launches": LAUNCHES, "copies": COPIES, "waits": 1}


@pytest.mark.parametrize("call", [name for name in SIGNATURES if not name.startswith("cuGetError")])
def test_a_call_that_fails_is_named_with_the_drivers_own_words(library, monkeypatch, call):
    monkeypatch.setenv("FAKE_CUDA_FAIL", call)
    with pytest.raises(DriverError, match=f"^{call} failed: CUDA_ERROR_OUT_OF_MEMORY, out of memory$") as error:
        yardstick(library)
    assert reason_of(error.value) == "out of memory"


def test_a_device_that_computes_wrongly_and_one_too_many_are_refused(library, monkeypatch):
    monkeypatch.setenv("FAKE_CUDA_WRONG", "1")
    with pytest.raises(RuntimeError, match=r"computes wrongly: 1 of 2048 sums are not 4\.0"):
        yardstick(library)
    monkeypatch.setenv("FAKE_CUDA_TWO", "1")
    with pytest.raises(DriverError, match="2 CUDA devices are visible where it should be one"):
        yardstick(library)


def test_both_sides_of_the_wall_mean_the_same_version():
    assert YARDSTICK_VERSIONS["cuda"] == VERSION
    with pytest.raises(ValueError, match="yardstick 99 was asked for"):
        GpuYardstick(device=None, version=99)


def test_nothing_of_torch_comes_with_it():
    code = "import sys, perfgate.actor.yardsticks.cuda; print('torch' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
