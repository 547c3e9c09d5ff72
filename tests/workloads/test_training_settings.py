"""Settings of training that trade memory: which exclude each other, what they need, how they are read back."""

import importlib
import sys
from importlib.util import find_spec

import pytest
import torch

from fixtures.models import models, reshaped
from perfgate.actor.server import hidden
from perfgate.actor.techniques.optimizers import make_muon, optimizer_name, state_of
from perfgate.shared.errors import UserError
from perfgate.workloads import requirements
from perfgate.workloads.tasks import training

LLAMA = models()["llama-quick"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quantization": "nf4"}, "quantization='nf4' leaves no weights to train; add lora_rank=8"),
        (
            {"quantization": "nf4", "lora_rank": 8, "precision": "bf16"},
            "precision='bf16' cannot be in force with quantization='nf4', .*; use precision='bf16-amp'",
        ),
        (
            {"optimizer_rank": 8},
            "optimizer='adamw_torch' has no rank; leave optimizer_rank out, or choose galore_adamw",
        ),
        ({"optimizer": "lomo", "gradient_accumulation": 2}, "optimizer='lomo' keeps no gradients to accumulate"),
        ({"liger": True, "chunked_loss": True}, "liger=True has a chunked loss of its own"),
    ],
)
def test_settings_that_exclude_each_other_are_refused_with_what_to_change(settings, message):
    with pytest.raises(UserError, match=message):
        training(LLAMA, **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"quantization": "nf4", "lora_rank": 8},
        {"optimizer": "galore_adamw", "optimizer_rank": 8},
        {"optimizer": "lomo", "gradient_accumulation": 1},
    ],
)
def test_what_goes_together_is_a_workload_and_names_its_settings(settings):
    assert set(settings) <= set(training(LLAMA, **settings).params)


def test_what_is_missing_is_named_with_the_command_that_brings_it(monkeypatch):
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)
    (package,) = requirements.missing(training(LLAMA, optimizer="lomo"), "cpu")
    assert package.startswith("optimizer='lomo' needs the package lomo_optim, which is not installed; install it: ")
    assert package.endswith("pip install 'perfgate[optimizers]'")
    assert [text.partition("; ")[0] for text in requirements.missing(training(LLAMA, liger=True), "cpu")] == [
        "liger=True needs a GPU",
        "liger=True needs the package liger_kernel, which is not installed",
    ]
    assert not list(requirements.missing(training(LLAMA, activation_offload=True), "none"))


def test_a_hidden_package_is_not_installed_until_it_is_asked_for_again(tmp_path, monkeypatch):
    (tmp_path / "device_bound.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    with hidden(("device_bound",)):
        assert find_spec("device_bound") is None
        with pytest.raises(ImportError):
            importlib.import_module("device_bound")
    assert importlib.import_module("device_bound") is sys.modules.pop("device_bound")


def test_muon_steps_hidden_matrices_and_adamw_the_rest_as_after_a_reload():
    model = torch.nn.Sequential(torch.nn.Embedding(8, 4), torch.nn.Linear(4, 4), torch.nn.Linear(4, 8))
    model.get_output_embeddings = lambda: model[2]
    optimizer = make_muon(model, 0.1)
    optimizer.load_state_dict(optimizer.state_dict())
    before = [weight.detach().clone() for weight in model.parameters()]
    model(torch.arange(8)).square().sum().backward()
    optimizer.step()
    assert all((weight != old).any() for weight, old in zip(model.parameters(), before, strict=True))
    kinds = {tuple(sorted(optimizer.state[weight])) for weight in (model[0].weight, model[2].weight, model[1].bias)}
    assert kinds == {("exp_avg", "exp_avg_sq", "step")}
    assert set(optimizer.state[model[1].weight]) == {"momentum_buffer"}
    assert optimizer_name(optimizer) == "muon"
    assert sum(tensor.numel() > 1 for tensor in state_of(optimizer)) == 1 + 2 * 4


def test_a_reshaped_model_tells_its_name_and_leaves_the_first_as_it_was():
    made = reshaped(LLAMA, vocab_size=7)
    assert (made.name, made.source["config"]["vocab_size"]) == ("llama-quick-vocab_size=7", 7)
    assert LLAMA.source["config"]["vocab_size"] == 1024
