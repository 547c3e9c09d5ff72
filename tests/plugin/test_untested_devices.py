"""What a user sees of a kind of device that has never run: one sentence, wherever its numbers would be read."""

import json
import os

import pytest

from perfgate.records.runfile import read
from perfgate.shared.device_kinds import DEVICE_KINDS
from tests.support.amd_smi import answers, install
from tests.support.runs import perfgate

CASE = "def test_it(perf):\n    perf(work(rounds=1))"
MAC = """
from types import SimpleNamespace

import perfgate.measure.devices.mps as found

found.platform = SimpleNamespace(system=lambda: "Darwin")
"""
PRETENDED = """
import torch

from perfgate.actor.devices.mps import Mps
from perfgate.actor.programs.base import Program
from perfgate.actor.yardsticks.mps import MpsYardstick
from tests.support.metal import Scripted, fakes

Mps.torch_device = "cpu"
MpsYardstick.runtime_of = lambda yardstick: Scripted()
for place, name, fake in fakes([]):
    setattr(place, name, fake)


class Train(Program):
    def __init__(self, device):
        self.network = torch.nn.Linear(64, 64, device=device.torch_device)

    def step(self):
        loss = self.network(torch.ones(64, 64)).square().mean()
        loss.backward()
        return loss
"""
NEVER = "ROCm was written from documentation and has never run; it cannot tell how long clocks are held down, *"


@pytest.fixture
def rocm(suite, monkeypatch):
    """A suite on a machine with a scripted ``amd-smi``."""
    tools = suite.path / "tools"
    tools.mkdir()
    monkeypatch.setenv("PATH", f"{install(tools, answers())}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("ROCR_VISIBLE_DEVICES", raising=False)
    suite.write(CASE)
    return suite


@pytest.mark.slice
@pytest.mark.launches(1)
@pytest.mark.untimed
def test_header_run_file_report_and_doctor_tell_that_rocm_has_never_run(rocm):
    result = rocm.run("--perf-device", "rocm")
    result.stdout.fnmatch_lines([f"perfgate *: machine amd-instinct-mi300x-192gib-750w ({NEVER}*"])
    # The torch of these tests has no ROCm, and a launch says so.
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*was built without ROCm, which --perf-device rocm needs*"])
    sentence = DEVICE_KINDS["rocm"].untested
    machine = read(rocm.run_files[0]).header["machine"]
    assert (machine["device"], machine["untested"]) == ("rocm", sentence)
    assert sentence in " ".join(perfgate("report", str(rocm.run_files[0]), cwd=rocm.path).stdout.split())
    found = json.loads(perfgate("doctor", "--quick", "--json", "--device", "rocm", cwd=rocm.path).stdout)["findings"]
    told = [finding["text"] for finding in found if finding["topic"] == "gpu"]
    assert told[0] == f"{sentence}."
    assert any(text.startswith("Process 41 has a context on amd-instinct-mi300x") for text in told)
    assert not any("nvidia-smi" in text for text in told)


@pytest.mark.slice
@pytest.mark.launches(1)
@pytest.mark.untimed
def test_a_case_goes_all_the_way_on_a_pretended_mac_and_what_nothing_tells_is_missing(suite, monkeypatch):
    tools = suite.path / "tools"
    tools.mkdir()
    chip = {"SPDisplaysDataType": [{"sppci_model": "Apple M4", "sppci_cores": "10"}]}
    for name, text in (("system_profiler", json.dumps(chip)), ("sysctl", str(16 << 30))):
        (tools / name).write_text(f"#!/bin/sh\necho '{text}'\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    (suite.path / "conftest.py").write_text(MAC)
    (suite.path / "pretended.py").write_text(PRETENDED)
    suite.write('def test_it(perf):\n    perf(Workload("pretended:Train", {}))')
    result = suite.run("--perf-device", "mps", "-o", "perf_preload=pretended")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["perfgate *: machine apple-m4-10-core-gpu-16gib (Apple's mps was written from *"])
    launches = {launch.pass_name: launch for launch in read(suite.run_files[0]).launches}
    assert not any(launch.invalid for launch in launches.values())
    told = {name for launch in launches.values() for name in launch.metrics}
    assert {"step_time_s", "operator_calls", "held_memory_bytes", "driver_memory_bytes"} <= told
    untold = {"device_time_s", "peak_memory_bytes", "kernel_launches", "host_syncs", "allocations", "energy_j"}
    assert not untold & told
    assert launches["time"].parts["arithmetic_s"] == 0.25


@pytest.mark.untimed
@pytest.mark.parametrize(
    ("device", "sentence"),
    [
        ("rocm", "ERROR: --perf-device rocm: amd-smi is not on the path; install AMD's driver and ROCm"),
        ("mps", "ERROR: --perf-device mps: Apple's GPUs are on macOS, and this is Linux; use --perf-device cpu"),
        ("xpu", "ERROR: --perf-device xpu: Intel's GPUs (xpu) are not begun: *; use --perf-device cpu"),
    ],
)
def test_a_kind_that_is_not_here_is_refused_in_one_sentence_before_anything_starts(suite, device, sentence):
    suite.write(CASE)
    result = suite.run("--perf-device", device)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([sentence])
    assert not suite.run_files
