"""The emulated card through the front door: real servers and torch's own CUDA path. Skipped where torch has none."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from perfgate.measure.devices.find import find_device
from perfgate.measure.emulator.build import started_on
from perfgate.measure.emulator.profiles import PROFILES
from perfgate.measure.plan import MeasurementPlan
from perfgate.measure.stage import Stage
from perfgate.records.runfile import read
from perfgate.shared.metrics import metric
from perfgate.shared.workload import Workload
from tests import SUPPORT
from tests.support.repositories import begin, change, commit
from tests.support.runs import perfgate

pytestmark = [pytest.mark.untimed, pytest.mark.slice, pytest.mark.usefixtures("emulation")]
CASES = """
def test_waits(perf):
    perf(Workload("emulated_programs:Stack", {"faults": ["item", "synchronize"]}))
def test_grows(perf):
    perf(Workload("emulated_programs:Stack", {"faults": ["kernel", "cache"]}))
def test_takes(perf):
    perf(Workload("emulated_programs:Stack", {"faults": ["allocation", "segment"]}))
"""
COMPILED = """
def test_captured(perf):
    perf(Workload("emulated_programs:Compiled", {"mode": "reduce-overhead"}))
"""
LARGE = """
def test_large(perf):
    perf(Workload("emulated_programs:Large", {"gibibytes": 23}))
"""
CONVOLVING = """
from perfgate.workloads.models.model import Model

SHAPE = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
CONFIG = {"model_type": "vit", "image_size": 32, "patch_size": 8, **SHAPE}
VIT = Model("vit", {"config": CONFIG}, {"image-classification": "ViTForImageClassification"})

def test_forward(perf, forward):
    perf(forward(VIT, task="image-classification"))

@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_training(perf, training, precision):
    perf(training(VIT, task="image-classification", precision=precision))

@pytest.mark.parametrize("loop", ["trainer", "accelerate"])
def test_compiled(perf, training, loop):
    perf(training(VIT, task="image-classification", loop=loop, compile="default"))
"""
RUN = ("--perf-env", "installed", "--perf-launches", "1", "-o", "perf_preload=emulated_programs")
L4 = ("--perf-device", "emulated:l4-24gb", *RUN)

WORKSPACE = 8 * 1024 * 1024 + 128 * 1024  # of 8.x

# Only a real card could tell them.
UNTOLD = {"power_w", "energy_j", "clock_mhz", "device_time_s", "non_torch_memory_bytes", "step_time_s"}


@pytest.fixture
def stacks(suite):
    """A suite with programs on the device, whose faults a file switches on."""
    (suite.path / "emulated_programs.py").write_text((SUPPORT / "emulated_programs.py").read_text())
    suite.write(CASES)
    return suite


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


# A stream takes part in the capture of a graph that is deleted then, and is used beside the capture of another one.
BESIDE = """
import ctypes, json, torch
side, data = torch.cuda.Stream(), torch.ones(8, device="cuda")
first, second = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
with torch.cuda.graph(first):
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        data.sin()
    torch.cuda.current_stream().wait_stream(side)
del first
driver = ctypes.CDLL(None)
driver.emu_report.restype = ctypes.c_char_p
driver.emu_reset()
with torch.cuda.graph(second, capture_error_mode="relaxed"):
    data.cos()
    with torch.cuda.stream(side):
        for _ in range(2000):
            data.sin()
print(json.loads(driver.emu_report())["launches"], "at once")
second.replay()
print(json.loads(driver.emu_report())["launches"], "with the graph")
"""


def test_a_stream_that_took_part_in_a_capture_is_free_after_it():
    environment = os.environ | dict(started_on(PROFILES["l4-24gb"]))
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["2000 at once", "2001 with the graph"]


# A static cache makes its room when it is first written: inside of a CUDA graph, where nobody made it before.
GRAPHED = """
import torch, transformers
from perfgate.actor.devices.emulated import end_generation_by_length
from perfgate.actor.techniques.decoding import compiled_forward
end_generation_by_length()
shape = {"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 2, "vocab_size": 64}
with torch.device("cuda"):
    network = transformers.LlamaForCausalLM(transformers.LlamaConfig(**shape, num_key_value_heads=2)).eval()
    ids = torch.ones(1, 4, dtype=torch.long)
network.forward = compiled_forward(network, "reduce-overhead")
settings = {"max_new_tokens": 4, "cache_implementation": "static", "disable_compile": True, "pad_token_id": 0}
with torch.inference_mode():
    for _ in range(3):
        print(network.generate(ids, attention_mask=torch.ones_like(ids), do_sample=False, **settings).shape[1])
"""


PLANNED = """
import torch
held = lambda *shape: torch.empty(*shape, device="cuda", dtype=torch.bfloat16)
for length in (64, 65):
    torch.nn.functional.scaled_dot_product_attention(held(1, 4, 8, 64), *[held(1, 4, length, 64) for _ in "kv"])
torch.nn.functional.conv2d(held(2, 16, 32, 32), held(32, 16, 3, 3), padding=1)
print(torch.cuda.max_memory_allocated())
"""


def test_what_cudnn_said_of_a_plan_is_kept_from_process_to_process_and_a_damaged_line_is_asked_again(tmp_path):
    plans = tmp_path / "plans"
    environment = os.environ | dict(started_on(PROFILES["h100-sxm-80gb"])) | {"EMU_PLANS": str(plans)}

    def peak():
        command = [sys.executable, "-c", PLANNED]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    first = peak()
    kept = plans.read_text().splitlines()
    assert len(kept) >= 3
    assert peak() == first
    assert plans.read_text().splitlines() == kept
    damaged = [line.replace(line[38:40], "9 ", 1) if at else line[:20] for at, line in enumerate(kept)]
    plans.write_text("\n".join(["", *damaged, "no plan", ""]))
    assert peak() == first
    assert set(kept) < set(plans.read_text().splitlines())


def test_a_static_cache_outlives_the_graphs_of_a_compiled_network():
    environment = os.environ | dict(started_on(PROFILES["l4-24gb"]))
    done = subprocess.run([sys.executable, "-c", GRAPHED], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["8"] * 3


# What the messages about the faults say: the metric, and where it grew. LINE is that of what the fault calls.
NAMED = (
    ("kernel_launches", "sin_kernel_cuda* in kernel +1", ""),
    ("host_syncs", "item (item at emulated_programs.py:LINE) +3", "sum().item()"),
    ("host_syncs", "synchronize (synchronize at emulated_programs.py:LINE) +3", "torch.cuda.synchronize"),
    ("kept_bytes", "grown: emulated_programs.py (forward:LINE) +32.00 MiB", "32 << 20"),
    ("allocations", "emulated_programs.py (forward:LINE) +1", "torch.empty(24"),
    ("device_allocations", "emulated_programs.py (forward:LINE) +1", "empty_cache"),
)


def line_of(call):
    """The number of the line of the programs in which a call stands."""
    lines = (SUPPORT / "emulated_programs.py").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if call in line)


def test_an_unchanged_case_is_equal_in_two_runs_and_each_fault_is_named(stacks):
    first = stacks.run(*L4, "--perf-update", "new")
    first.assert_outcomes(passed=3)
    first.stdout.fnmatch_lines(["*machine emulated-l4-24gb (an emulated card: exact memory and launches, no times)*"])
    stacks.run(*L4, "-n", "2").assert_outcomes(passed=3)
    launches = [launch for path in stacks.run_files for launch in read(path).launches]
    for name in ("kernel_launches", "peak_memory_bytes", "peak_reserved_bytes", "allocations"):
        values = {str(launch.metrics[name]) for launch in launches if name in launch.metrics}
        assert len(values) == 1, name
    assert not UNTOLD & {name for launch in launches for name in launch.metrics}
    told = [launch for launch in launches if "peak_net_bytes" in launch.metrics]
    # cuBLAS has a workspace in each of the two passes, which no program can change.
    assert {launch.value("peak_memory_bytes") - launch.value("peak_net_bytes") for launch in told} == {2 * WORKSPACE}
    (stacks.path / "faulty").touch()
    found = stacks.run(*L4)
    found.assert_outcomes(failed=3)
    for name, where, call in NAMED:
        found.stdout.fnmatch_lines([f"{name} got worse*{where.replace('LINE', str(line_of(call)))}*"])


def test_what_another_torch_stored_is_named_by_every_verdict(stacks):
    one = (*L4, "-k", "waits")
    stacks.run(*one, "--perf-update", "new").assert_outcomes(passed=1)
    (stored,) = (stacks.path / "baselines" / "emulated-l4-24gb").rglob("*.json")
    text = stored.read_text()
    assert version("torch") in text
    stored.write_text(text.replace(version("torch"), "2.13.9"))
    stacks.run(*one).assert_outcomes(passed=1)
    held = [verdict for verdict in read(stacks.run_files[-1]).verdicts if not metric(verdict.metric).portable]
    assert {verdict.since for verdict in held if verdict.reference is not None} == {"torch 2.13.9"}


def test_processes_share_the_card_as_each_has_all_of_its_memory(tmp_path):
    # Nobody steps here, so no server is needed.
    device = find_device("emulated")
    stages = [Stage([], tmp_path, MeasurementPlan(device="emulated"), 1, None, device) for _ in range(2)]
    workload = Workload("emulated_programs:Stack", {"faults": []})
    with stages[0].untimed(workload), stages[1].untimed(workload):
        pass


def test_a_compiled_program_is_counted_as_it_runs_and_its_graphs_are_counted(stacks):
    stacks.write(COMPILED)
    stacks.run(*L4).assert_outcomes(passed=1)
    (counted,) = (launch for launch in read(stacks.run_files[-1]).launches if launch.pass_name == "counters")
    assert counted.metrics["graphs"] == 1
    assert (counted.value("graph_captures"), counted.value("graph_replays")) == (0, 1)
    assert counted.value("host_syncs") == 0


def test_out_of_memory_is_a_result_with_its_numbers(stacks):
    stacks.write(LARGE)
    found = stacks.run(*L4)
    found.assert_outcomes(skipped=1)
    found.stdout.fnmatch_lines(["*out of memory: it does not fit: 23.00 GiB asked, 21.54 GiB free*"])
    stacks.run("--perf-device", "emulated:l40s-48gb", *RUN).assert_outcomes(passed=1)


def test_whether_convolutions_run_in_tf32_is_read_back_beside_the_precision_of_products(suite):
    suite.write(CONVOLVING)
    patient = ("--perf-device", "emulated:l4-24gb", "--perf-timeout", "600")  # two cases compile
    suite.run(*patient, *RUN[:-2]).assert_outcomes(passed=6)
    counted = [launch for launch in read(suite.run_files[-1]).launches if launch.pass_name == "counters"]
    told = {launch.case.rpartition("test_")[2]: launch.details.findings.effective for launch in counted}
    assert {name: (one["precision"], one.get("convolutions")) for name, one in told.items()} == {
        "forward": ("fp32", "tf32"),
        "training[fp32]": ("fp32", "fp32"),
        "training[tf32]": ("tf32", "tf32"),
        "training[bf16]": ("bf16", None),
        "compiled[trainer]": ("fp32", "fp32"),
        "compiled[accelerate]": ("fp32", "fp32"),
    }


PROMISED = """
def test_wide(effect):
    small, large = (Workload("emulated_programs:Wide", {"width": width}) for width in (64, 256))
    effect(small, large, peak_memory_bytes="> 1.2x", step_time_s="> 1.1x")

def test_same(perf):
    perf(Workload("emulated_programs:Wide", {"width": 64}))
"""


def test_a_reference_and_effects_are_judged_on_it_and_promised_times_are_counted_as_undecided(stacks):
    stacks.write(PROMISED)
    begin(stacks.path)
    change(stacks.path, "torch.nn.ReLU()", "torch.nn.ReLU(), torch.nn.Sigmoid()", "emulated_programs.py")
    commit(stacks.path)
    result = stacks.run(*L4, "--perf-ref", "HEAD~1", "-n", "2", "-p", "xdist")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines_random(
        [
            "*test_wide: peak_memory_bytes *, promised > 1.2x pass; step_time_s invalid (an emulated device *",
            "kernel_launches got worse by +*, reference *sigmoid* in 2 +1*",
            "Decided: * of *; not decided: 1 invalid.",
        ]
    )
    assert "perfgate calibrate" not in result.stdout.str()
    done = perfgate("report", stacks.run_files[-1], "--format", "html", "--output", stacks.path / "page.html")
    assert done.returncode == 0, done.stderr
    assert "sigmoid" in (stacks.path / "page.html").read_text()
