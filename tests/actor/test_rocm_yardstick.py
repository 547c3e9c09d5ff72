"""The calls by which ROCm's yardstick reaches HIP, against a HIP that does its work on the host; no GPU has run it."""

import ctypes
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from perfgate.actor.devices.driver import DriverError
from perfgate.actor.yardsticks.cuda import COPIES, LAUNCHES
from perfgate.actor.yardsticks.rocm import COMPILER, NAMES, HipDriver, RocmYardstick
from perfgate.shared.device_kinds import DEVICE_KINDS

pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="building the host's HIP needs gcc")
VERSION = DEVICE_KINDS["rocm"].yardstick_version


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Path of the library, which is HIP and its compiler."""
    built = tmp_path_factory.mktemp("hip") / "libamdhip64.so"
    source = Path(__file__).with_name("fake_hip.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", str(built), str(source)], check=True)
    return str(built)


@pytest.fixture
def yardstick(library, monkeypatch):
    monkeypatch.setattr(RocmYardstick, "driver_of", partial(HipDriver, compiler=library))
    return lambda: RocmYardstick(device=None, version=VERSION, library=library)


def test_a_step_does_all_three_and_times_them_apart(library, yardstick):
    found = yardstick()
    hip = ctypes.CDLL(library)
    before = {name: ctypes.c_int.in_dll(hip, name).value for name in ("empty_launches", "copies", "waits")}
    parts = found.work()
    assert parts["arithmetic_s"] == pytest.approx(0.0015)
    assert parts["copy_s"] == pytest.approx(0.0015)
    assert parts["launches_s"] > 0
    done = {name: ctypes.c_int.in_dll(hip, name).value - count for name, count in before.items()}
    assert done == {"empty_launches": LAUNCHES, "copies": COPIES, "waits": 1}


@pytest.mark.parametrize("call", NAMES.values())
def test_a_call_that_fails_is_named_by_hips_name_and_words(yardstick, monkeypatch, call):
    monkeypatch.setenv("FAKE_HIP_FAIL", call)
    with pytest.raises(DriverError, match=f"^{call} failed: hipErrorOutOfMemory, out of memory$"):
        yardstick()


@pytest.mark.parametrize("call", COMPILER)
def test_a_compiler_that_refuses_is_named(yardstick, monkeypatch, call):
    monkeypatch.setenv("FAKE_HIP_FAIL", call)
    with pytest.raises(DriverError, match=f"^{call} failed: error 2$"):
        yardstick()


def test_without_hip_or_with_two_gpus_it_is_one_sentence(yardstick, monkeypatch):
    with pytest.raises(DriverError, match=r"^the ROCm driver cannot be used: libamdhip64\.so"):
        RocmYardstick(device=None, version=VERSION)
    monkeypatch.setenv("FAKE_HIP_TWO", "1")
    with pytest.raises(DriverError, match=r"^2 ROCm devices are visible where it should be one$"):
        yardstick()
