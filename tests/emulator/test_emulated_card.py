"""The emulated card through the front door: real servers and torch's own CUDA path. Skipped where torch has none."""

import os
import subprocess
import sys

import pytest

from perfgate.emulator.build import started_on
from perfgate.emulator.profiles import PROFILES
from perfgate.records.runfile import read
from tests import SUPPORT

pytestmark = [pytest.mark.untimed, pytest.mark.slice, pytest.mark.usefixtures("emulation")]
CASES = """
def test_stack(perf):
    perf(Workload("emulated_programs:Stack", {}))
"""
LARGE = """
def test_large(perf):
    perf(Workload("emulated_programs:Large", {"gibibytes": 23}))
"""
RUN = ("--perf-env", "installed", "--perf-launches", "1")

# Only a real card could tell them.
UNTOLD = {"power_w", "energy_j", "clock_mhz", "device_time_s", "non_torch_memory_bytes", "step_time_s"}


@pytest.fixture
def stacks(suite):
    """A suite with one program on the device, whose faults a file switches on."""
    (suite.path / "emulated_programs.py").write_text((SUPPORT / "emulated_programs.py").read_text())
    suite.write(CASES)
    return suite


def faulty(suite, fault):
    """The lines of a run with a fault, against what was stored without it."""
    (suite.path / "fault").write_text(fault)
    return suite.run("--perf-device", "emulated:l4-24gb", *RUN)


@pytest.mark.parametrize("title", PROFILES)
def test_a_step_and_a_generation_run_on_every_profile(title):
    program = str(SUPPORT / "emulated_step.py")
    environment = os.environ | dict(started_on(PROFILES[title]))
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"{PROFILES[title].name}: trained, 16 tokens"


ABSENT = {
    "torch.nn.LSTM(4, 4).cuda()(torch.zeros(3, 2, 4, device='cuda'))": "cudnnCreateDropoutDescriptor",
    "torch.linalg.inv(torch.zeros(4, 4, device='cuda'))": "cusolverDnSgetrf_bufferSize",
    "torch.fft.fft(torch.zeros(4, 4, device='cuda'))": "cufftXtMakePlanMany",
}
REFUSED = """
import torch
from perfgate.actor.failures import message_of
try:
    {}
except RuntimeError as error:
    print(message_of(error))
"""


@pytest.mark.parametrize("program", ABSENT)
def test_what_is_not_there_ends_with_its_name(program):
    environment = os.environ | dict(started_on(PROFILES["l4-24gb"]))
    command = [sys.executable, "-c", REFUSED.format(program)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.startswith(f"the emulated GPU does not implement {ABSENT[program]}")


def test_an_unchanged_case_is_equal_in_two_runs_and_faults_are_named(stacks):
    on = ("--perf-device", "emulated:l4-24gb", *RUN)
    first = stacks.run(*on, "--perf-update", "new")
    first.assert_outcomes(passed=1)
    first.stdout.fnmatch_lines(["*machine emulated-l4-24gb (an emulated card: exact memory and launches, no times)*"])
    again = stacks.run(*on)
    again.assert_outcomes(passed=1)
    launches = [launch for path in stacks.run_files for launch in read(path).launches]
    for name in ("kernel_launches", "peak_memory_bytes", "peak_reserved_bytes"):
        values = [value for launch in launches for value in launch.metrics.get(name, [])]
        assert len(values) > 1
        assert len(set(values)) == 1, name
    assert not UNTOLD & {name for launch in launches for name in launch.metrics}
    for fault, metric in (("kernel", "kernel_launches"), ("sync", "copies"), ("allocation", "peak_memory_bytes")):
        found = faulty(stacks, fault)
        found.assert_outcomes(failed=1)
        found.stdout.fnmatch_lines([f"*{metric}* got worse*"])


def test_out_of_memory_is_a_result_with_its_numbers(stacks):
    stacks.write(LARGE)
    found = stacks.run("--perf-device", "emulated:l4-24gb", *RUN)
    found.assert_outcomes(skipped=1)
    found.stdout.fnmatch_lines(["*out of memory: it does not fit: 23.00 GiB asked, 21.54 GiB free*"])
    stacks.run("--perf-device", "emulated:l40s-48gb", *RUN).assert_outcomes(passed=1)
