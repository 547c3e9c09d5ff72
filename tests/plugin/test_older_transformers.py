"""An older transformers beside the same torch as the reference, end to end: its regressions are seen, and what it lacks
is new."""

import pytest

from perfgate.records.runfile import read
from tests import ROOT, SUPPORT
from tests.support.environments import older_transformers

pytestmark = pytest.mark.untimed

CASES = """
import transformers
from perfgate.workloads.models.shapes import read_shapes
from pathlib import Path

MODELS = read_shapes(Path(__file__).parent / "shapes.json")

def test_padded_encoder(perf):
    # transformers #41566: a padded mask costs more operators since 5.0.
    perf(Workload("encoders:PaddedForward", {}))

def test_embedding(perf, forward):
    perf(forward(MODELS["bert"], batch_size=2, sequence_length=32, task="embedding"))

@pytest.mark.parametrize("loop", ["trainer", "accelerate"])
def test_training(perf, training, loop):
    perf(training(MODELS["llama"], batch_size=2, sequence_length=32, loop=loop))

@pytest.mark.parametrize("cache", ["default", "static"])
def test_generation(perf, generation, cache):
    perf(generation(MODELS["llama"], prompt_length=16, new_tokens=4, cache=cache, compile_decode="off"))

def test_what_it_lacks(perf, training):
    perf(training(MODELS["llama"], batch_size=2, sequence_length=32, sampling="batch_rebalance", lengths="log-normal"))
"""
ENCODERS = """
import torch
import transformers
from perfgate.actor.programs.base import Program
from perfgate.actor.dry_run.known_values import exact_modes

def encoder():
    torch.manual_seed(0)
    sizes = {"vocab_size": 512, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    return transformers.BertModel(transformers.BertConfig(intermediate_size=128, **sizes)).eval()

def padded():
    ids = torch.arange(8 * 64).reshape(8, 64) % 500 + 3
    mask = torch.ones_like(ids)
    mask[0, 40:] = 0
    return {"input_ids": ids, "attention_mask": mask}

class PaddedForward(Program):
    dry_run = "encoders:DryPaddedForward"

    def __init__(self, device):
        self.network, self.batch = encoder().to(device.torch_device), padded()

    def step(self):
        with torch.no_grad():
            return self.network(**self.batch).last_hidden_state

class DryPaddedForward(PaddedForward):
    def __init__(self, context):
        self.network = encoder()
        context.tracker.watch(self.network)
        with exact_modes():
            batch = padded()
        self.batch = {name: context.adopt(values) for name, values in batch.items()}
"""


@pytest.fixture
def upgrade(suite):
    """A repository of one's own, whose cases upgrade transformers."""
    (suite.path / "encoders.py").write_text(ENCODERS)
    (suite.path / "perf_tests" / "shapes.json").write_text((SUPPORT / "upgrade_shapes.json").read_text())
    suite.write(CASES)
    return suite


@pytest.mark.slice
@pytest.mark.parametrize("arguments", [("--perf-device", "none"), ("-k", "padded or test_training or lacks")])
def test_an_upgrade_of_transformers_is_held_against_the_version_before(upgrade, arguments):
    result = upgrade.run("--perf-ref", older_transformers(), *arguments)
    result.stdout.fnmatch_lines(["*transformers 4.57.6), candidate *"])
    run = read(upgrade.run_files[0])
    assert run.header["reference"]["moved"]["transformers"][0] == "4.57.6"
    verdicts = {(verdict.case, verdict.metric): verdict for verdict in run.verdicts}
    calls = verdicts["test_case.py::test_padded_encoder", "operator_calls"]
    assert (calls.verdict, calls.reference, calls.candidate) == ("regressed", 39, 53)
    assert "encoder" in calls.why
    lacking = [verdict for verdict in run.verdicts if "lacks" in verdict.case]
    assert {verdict.verdict for verdict in lacking} == {"new"}
    assert any("train_sampling_strategy" in verdict.why and "transformers 4.57.6" in verdict.why for verdict in lacking)
    # Whatever else is there was measured on both sides.
    others = [launch for launch in run.launches if "lacks" not in launch.case]
    assert {launch.side for launch in others} == {"reference", "candidate"}
    assert not [launch.invalid for launch in others if launch.fault or launch.unsupported]


TRAINING = """
from pathlib import Path
from perfgate.workloads.models.shapes import read_shapes

MODELS = read_shapes(Path(__file__).parent / "shapes.json")

def test_training(perf, training):
    perf(training(MODELS["llama"], batch_size=2, sequence_length=32, loop="accelerate"))
"""
HEAVIER = """
import torch
from transformers.models.llama.modeling_llama import LlamaMLP

keep_init, keep_forward = LlamaMLP.__init__, LlamaMLP.forward

def init(self, config):
    keep_init(self, config)
    self.extra = torch.nn.Linear(config.hidden_size, config.hidden_size, bias=False)

LlamaMLP.__init__ = init
LlamaMLP.forward = lambda self, hidden: keep_forward(self, self.extra(hidden))
"""


@pytest.mark.slice
def test_an_upgrade_is_judged_by_what_is_stored_for_the_version_before(upgrade, monkeypatch):
    upgrade.write(TRAINING)
    (upgrade.path / "heavier.py").write_text(HEAVIER)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    none = ("--perf-device", "none")
    older = (older_transformers(), "-m", "pytest", "perf_tests")
    upgrade.pytester.run(*older, *none, "--perf-update", "new").assert_outcomes(passed=1)
    unchanged = upgrade.run(*none)
    unchanged.assert_outcomes(passed=1)
    unchanged.stdout.fnmatch_lines(["*flops * since transformers 4.57 *"])
    heavier = upgrade.run(*none, "-o", "perf_preload=heavier")
    heavier.assert_outcomes(failed=1)
    heavier.stdout.fnmatch_lines(
        ["*flops got worse by +* since transformers 4.57 (*grown: model.layers.{0-1}.mlp.extra (contractions) +*"]
    )
