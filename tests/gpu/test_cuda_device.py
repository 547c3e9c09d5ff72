"""A CUDA device as an actor and the stage see it. Skipped where there is none."""

import json
import os
import subprocess
import sys

import pytest

from perfgate.records.runfile import read
from tests import ROOT

pytestmark = pytest.mark.gpu
CASES = ("test_training[trainer]", "test_training[accelerate]", "test_mixed", "test_generation")
MIB = 1 << 20
SUITE = """
import pytest
from perfgate.workloads.models.model import Model
from perfgate.shared.workload import Workload

CONFIG = {"model_type": "gpt2", "vocab_size": 1024, "n_embd": 128, "n_layer": 2, "n_head": 2, "n_positions": 64}
GPT2 = Model("gpt2", {"config": CONFIG}, {"causal-lm": "GPT2LMHeadModel"})

@pytest.mark.parametrize("loop", ["trainer", "accelerate"])
def test_training(perf, training, loop):
    perf(training(GPT2, loop=loop, batch_size=4, sequence_length=32))

def test_mixed(perf, training):
    perf(training(GPT2, batch_size=4, sequence_length=32, precision="bf16-amp"))

def test_generation(perf, generation):
    perf(generation(GPT2, batch_size=2, prompt_length=16, new_tokens=8))

def test_allocation(perf):
    perf(Workload("cuda_programs:Allocate", {"kept": 1 << 20, "sizes": [1 << 21, 1 << 22]}))

def test_too_large(perf):
    perf(Workload("cuda_programs:Allocate", {"kept": 1 << 20, "sizes": [1 << 45]}))
"""
PROGRAMS = """
import torch
from perfgate.actor.programs.base import Program

class Allocate(Program):
    def __init__(self, device, kept, sizes):
        self.device = device.torch_device
        self.kept = torch.zeros(kept, dtype=torch.uint8, device=self.device)
        self.sizes = sizes

    def step(self):
        held = [torch.zeros(size, dtype=torch.uint8, device=self.device) for size in self.sizes]
        return held[-1][:1].float()
"""


def actor(code, gpu):
    """Run code in a fresh process that has claimed the device; returns what it prints last, as JSON."""
    head = "import json, torch\nfrom perfgate.actor.devices import open_device\n"
    head += f"device = open_device({dict(gpu.order)!r}, 'time', None, 1)\n"
    done = subprocess.run([sys.executable, "-c", head + code], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def test_an_actor_sees_one_device_the_one_that_was_meant(gpu):
    found = actor("print(json.dumps([torch.cuda.device_count(), str(torch.cuda.get_device_properties(0).uuid)]))", gpu)
    assert found[0] == 1
    assert found[1].removeprefix("GPU-") in gpu.uuid or gpu.uuid.startswith("MIG-")


def test_events_tell_what_the_clock_tells_over_a_burst(timed_gpu):
    code = """
x = torch.randn(4096, 4096, device="cuda")
for _ in range(3):
    x @ x
device.synchronize()
begin = device.now_s()
device.begin_burst()
for _ in range(8):
    for _ in range(8):
        x @ x
    device.stepped()
device.synchronize()
print(json.dumps([device.now_s() - begin, device.spans_s()]))
"""
    wall_s, spans_s = actor(code, timed_gpu)
    assert len(spans_s) == 8
    assert 0.5 * wall_s < sum(spans_s) <= wall_s


def test_peaks_are_what_was_allocated_and_are_forgotten_when_told(gpu):
    code = """
kept = torch.empty(1 << 20, dtype=torch.uint8, device="cuda")
more = torch.empty(1 << 21, dtype=torch.uint8, device="cuda")
first = device.peaks()
del more
device.reset_peaks()
print(json.dumps([first, device.peaks()]))
"""
    first, second = actor(code, gpu)
    assert first["peak_memory_bytes"] == 3 * MIB
    assert second["peak_memory_bytes"] == MIB
    assert first["peak_reserved_bytes"] >= first["peak_memory_bytes"] >= first["peak_requested_bytes"]
    assert ("non_torch_memory_bytes" in first) == (gpu.kind == "cuda")
    assert first["allocation_retries"] == 0


def test_a_graphs_own_memory_counts_while_nothing_is_allocated_in_it(gpu):
    code = """
x = torch.ones(1 << 22, device="cuda")
def work():
    return ((x * 2) * (x + 1)).sum()
side = torch.cuda.Stream()
with torch.cuda.stream(side):
    work()
torch.cuda.synchronize()
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    result = work()
device.reset_peaks()
graph.replay()
device.synchronize()
print(json.dumps([device.peaks()["peak_memory_bytes"], torch.cuda.max_memory_allocated()]))
"""
    peak, allocated = actor(code, gpu)
    assert peak >= allocated + 32 * MIB


def test_the_driver_tells_the_clock_of_the_card(timed_gpu):
    assert timed_gpu.status().clock_mhz


def test_the_card_names_the_machine(gpu):
    assert gpu.machine.name.startswith(("nvidia", "tesla", "geforce", "quadro", "emulated"))
    assert gpu.machine.gpu["memory_bytes"] > 0


@pytest.fixture(scope="module")
def run(gpu, tmp_path_factory):
    """One run of the suite above on the GPU."""
    path = tmp_path_factory.mktemp("gpu")
    (path / "perf_tests").mkdir()
    (path / "perf_tests" / "test_models.py").write_text(SUITE)
    (path / "cuda_programs.py").write_text(PROGRAMS)
    (path / "pytest.ini").write_text("[pytest]\nperf_launches = 1\nperf_preload = cuda_programs\n")
    command = [sys.executable, "-m", "pytest", "perf_tests", "--perf-device", gpu.kind, "--perf-env", "installed"]
    found = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    subprocess.run(command, cwd=path, check=False, capture_output=True, env={**os.environ, "PYTHONPATH": found})
    (file,) = (path / "perf_output").glob("*.jsonl")
    return read(file)


def launches(run, case, pass_name):
    found = [x for x in run.by_case()[f"test_models.py::{case}"] if x.pass_name == pass_name]
    assert found, run.by_case().keys()
    return found


@pytest.mark.measures
@pytest.mark.parametrize("case", CASES)
def test_programs_run_on_the_device_in_bursts(timed_gpu, run, case):
    for launch in launches(run, case, "time"):
        assert launch.invalid is None
        assert launch.details.seen.device == timed_gpu.uuid
        assert launch.details.turns.burst_steps >= 1
        assert 0 < launch.value("device_time_s") <= launch.value("step_time_s") * 1.02
        assert 0 <= launch.value("host_bound_share") < 1
    (counted,) = launches(run, case, "counters")
    assert counted.value("kernel_launches") > 0


@pytest.mark.measures
@pytest.mark.parametrize("case", CASES)
def test_launches_of_kernels_are_counted(run, case):
    (counted,) = launches(run, case, "counters")
    assert counted.invalid is None
    assert counted.value("kernel_launches") > 0


@pytest.mark.measures
def test_training_tells_its_phases_by_events(timed_gpu, run):
    for launch in launches(run, "test_training[trainer]", "time"):
        assert launch.value("backward_s") > 0
        assert launch.value("optimizer_s") > 0


@pytest.mark.measures
def test_peak_memory_repeats_to_the_byte(run):
    for case in ("test_training[trainer]", "test_training[accelerate]", "test_generation"):
        assert len({v for x in launches(run, case, "memory") for v in x.metrics["peak_memory_bytes"]}) == 1
    (peak,) = {v for x in launches(run, "test_allocation", "memory") for v in x.metrics["peak_memory_bytes"]}
    assert peak == (1 << 20) + (1 << 21) + (1 << 22) + 512


@pytest.mark.measures
def test_too_much_is_out_of_memory_and_the_run_goes_on(run):
    assert all(x.invalid.startswith("out of memory") for x in launches(run, "test_too_large", "counters"))
