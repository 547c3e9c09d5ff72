"""Values on the emulated card: what is known is told, what is assumed is listed, and no loop waits for ever."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from perfgate.actor.devices.assumed import operator_of
from perfgate.cases.assumed import assumed_in
from perfgate.cases.deadline import Deadline
from perfgate.cases.duets import Policy
from perfgate.cases.effect import tried
from perfgate.gate.alpha_budget import AlphaBudget
from perfgate.gate.equivalence import Equivalence
from perfgate.measure.emulator.build import started_on
from perfgate.measure.emulator.profiles import PROFILES
from perfgate.measure.plan import MeasurementPlan
from perfgate.records.launch import Launch
from perfgate.records.runfile import read
from perfgate.shared.workload import Workload
from tests import SUPPORT

pytestmark = pytest.mark.untimed
ON = ("--perf-device", "emulated:l4-24gb", "--perf-env", "installed", "--perf-launches", "1")
CASES = """
def test_asks(perf):
    perf(Workload("waiting_programs:Asks", {}))

def test_waits(perf):
    perf(Workload("waiting_programs:Waits", {}))
"""
KNOWN = """
import torch
from perfgate.actor.devices.assumed import assumed_values
on = {"device": "cuda"}
assert torch.tensor([3, 5], **on).tolist() == [3, 5]
assert torch.full((3,), 7, **on).tolist() == [7, 7, 7]
assert torch.ones(100_000, dtype=torch.bfloat16, **on)[99_999].item() == 1
assert torch.zeros(4, dtype=torch.bool, **on).tolist() == [False] * 4
assert torch.tensor(2.5, **on).clone().item() == 2.5
assert not assumed_values()
given = torch.tensor([1.0, 2.0], **on)
given.add_(1)
assert given.tolist() == [0, 0]  # written by a kernel since
assert torch.isfinite(given).all()
assert given.nonzero().shape == (0, 1)
print(dict(assumed_values()))
"""
MANGLED = {
    "": "no kernel",
    "triton_red_fused_sum_0": "triton_red_fused_sum_0",
    "_ZN2at6native13reduce_kernelILi512ELi1ENS0_14func_wrapper_tIbZZZNS0_15and_kernel_cudaERNS_14T": "all",
    "_ZN2at6native13reduce_kernelILi512ELi1ENS0_8ReduceOpIfNS0_9ArgMaxOpsIfEEjlLi4ELi4EEEEEvT1_": "ArgMax",
    "_ZN2at6native29vectorized_elementwise_kernelILi4ENS0_21CUDAFunctorOnSelf_addIfEESt5arrayIPcLm2EELb0EEE": "add",
}


@pytest.mark.parametrize("kernel", MANGLED)
def test_a_kernel_is_named_by_its_operator(kernel: str) -> None:
    assert operator_of(kernel) == MANGLED[kernel]


def test_a_case_says_what_was_assumed() -> None:
    launch = Launch("m", "0" * 64, "counters", 1)
    assert not assumed_in([launch])
    told = {"all: true": 1, "ArgMax: zeros": 1200, "any: zeros": 2, "max: zeros": 1}
    findings = launch.details.findings.__class__(assumed=told)
    said = assumed_in([launch, launch.detailed(findings=findings)])
    assert said.startswith(
        "assumed in a step, as nothing is computed: ArgMax: zeros (1,200 times), any: zeros (2 times)"
    )
    assert said.endswith("), all: true, 1 more")


@pytest.mark.slice
@pytest.mark.usefixtures("emulation")
def test_what_was_written_since_the_last_kernel_is_known_and_all_else_listed() -> None:
    environment = os.environ | dict(started_on(PROFILES["l4-24gb"]))
    done = subprocess.run([sys.executable, "-c", KNOWN], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "'add: zeros': 1, 'all: true': 1, 'nonzero: zeros': 1" in done.stdout


@pytest.mark.slice
@pytest.mark.usefixtures("emulation")
def test_reads_are_listed_in_the_run_and_a_loop_that_waits_ends_with_its_line(suite, monkeypatch) -> None:
    monkeypatch.setenv("EMU_STEP_READS", "500")
    program = SUPPORT / "waiting_programs.py"
    (suite.path / program.name).write_text(program.read_text())
    suite.write(CASES)
    found = suite.run(*ON)
    found.assert_outcomes(passed=1, skipped=1)
    found.stdout.fnmatch_lines(
        ["*test_asks*assumed in a step, as nothing is computed: ArgMax: zeros (2 times), all: true*"]
    )
    line = next(i for i, text in enumerate(program.read_text().splitlines(), 1) if "while" in text)
    said = "this step has read 500 of them: its loop waits for one that never comes, at *waiting_programs.py"
    found.stdout.fnmatch_lines([f"*the emulated GPU computes no values, and {said}:{line}*"])
    told = [launch.details.findings.assumed for launch in read(suite.run_files[-1]).launches]
    assert {"ArgMax: zeros": 2, "all: true": 1} in told


@pytest.mark.parametrize("launches", [0, 3])
@pytest.mark.parametrize("device", ["emulated", "none"])
def test_results_that_nobody_computed_are_not_compared_whether_times_are_asked_for_or_not(device, launches) -> None:
    stage = SimpleNamespace(plan=MeasurementPlan(device=device, launches=launches))
    side = Workload("any:Program", {})
    promise = Equivalence("logits", 1e-3)
    policy = Policy(AlphaBudget(1), Deadline(None, 1))
    taken, (verdict,) = tried(stage, "test_it", side, side, [], [promise], policy, lambda _: None)
    assert taken == []
    assert (verdict.metric, verdict.verdict) == ("logits", "invalid")
