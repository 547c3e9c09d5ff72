"""Settings of generation and serving: which exclude each other, what they need, and what is read back of them."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from perfgate.actor.data.inputs import Requests, padded
from perfgate.actor.request import ServingSettings
from perfgate.actor.tensors import inner_tensors, kind_of
from perfgate.records.runfile import read
from perfgate.shared.errors import Unavailable, UserError
from perfgate.workloads import requirements
from perfgate.workloads.models.model import Model
from perfgate.workloads.requirements import check_needs
from perfgate.workloads.tasks import forward, generation, serving

GPT2 = Model("gpt2", {"config": {"model_type": "gpt2"}}, {"causal-lm": "GPT2LMHeadModel"})
T5 = Model("t5", {"config": {"model_type": "t5"}}, {"seq2seq-lm": "T5ForConditionalGeneration"})


@pytest.mark.parametrize(
    ("build", "shape", "settings", "message"),
    [
        (generation, GPT2, {"assistant_layers": 1, "prompt_lookup_tokens": 3}, "both write drafts; choose one"),
        (generation, GPT2, {"assistant_layers": 1, "batch_size": 2}, "one sequence at a time; leave out batch_size=2"),
        (generation, GPT2, {"assistant_layers": 1, "cache": "static"}, "cache='static' does not go with"),
        (generation, T5, {"prompt_lookup_tokens": 3}, "leave it out for task='seq2seq-lm'"),
        (serving, GPT2, {"prefix_sharing": True}, "add batching='continuous'"),
        (serving, GPT2, {"asynchronous": True, "batching": "padded"}, "add batching='continuous'"),
        (serving, GPT2, {"shared_prefix": 64, "prompt_length": 64}, "leaves nothing of prompt_length=64"),
        (forward, GPT2, {"quantization": "bnb"}, "setting 'quantization' is 'bnb'; it may be off, llm-int8, .*"),
    ],
)
def test_settings_that_cannot_be_are_refused(build: Any, shape: Model, settings: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(shape, **settings)


@pytest.mark.parametrize(
    ("quantization", "message"),
    [
        ("nf4", r"needs the package bitsandbytes, .* pip install 'perfgate\[bitsandbytes\]'"),
        ("torchao-int8", r"needs the package torchao, .* pip install 'perfgate\[torchao\]'"),
        ("torchao-nvfp4", "needs a GPU"),
    ],
)
def test_what_quantization_needs_is_said(quantization: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "find_spec", lambda name: None)

    with pytest.raises(Unavailable, match=message):
        check_needs(generation(GPT2, quantization=quantization), "cpu")


@pytest.mark.untimed
def test_what_a_device_cannot_do_skips_its_case_after_one_launch(suite: Any) -> None:
    suite.write("def test_it(perf):\n    perf(work('Beyond'))")
    result = suite.run("-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*test_it could not be measured: unsupported: it needs a GPU of another kind*"])
    assert len(read(suite.run_files[0]).launches) == 1


def test_requests_have_the_stated_lengths_and_are_never_asked_twice() -> None:
    chosen = ServingSettings(requests=5, prompt_length=72, new_tokens=16, shared_prefix=8)
    requests = Requests(chosen, 1000, seed=0)
    first, second = requests.draw(), requests.draw()

    assert sorted(len(prompt) - 8 for prompt, _ in first) == [8, 22, 36, 50, 64]
    assert sorted(count for _, count in first) == [4, 7, 10, 13, 16]
    assert len({tuple(prompt[:8]) for prompt, _ in first + second}) == 1
    assert all(a[8:] != b[8:] for (a, _), (b, _) in zip(first, second, strict=True))


def test_prompts_are_padded_on_the_left() -> None:
    batch = padded([[5, 6, 7], [8]])

    assert batch["input_ids"].tolist() == [[5, 6, 7], [0, 0, 8]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]


def named(name: str, **attributes: Any) -> Any:
    """An object whose class has that name."""
    return type(name, (), attributes)()


@pytest.mark.parametrize(
    ("weight", "kind"),
    [
        (torch.nn.Parameter(torch.zeros(1)), "off"),
        (named("Params4bit", quant_type="nf4"), "nf4"),
        (named("Int8Params"), "llm-int8"),
        (named("Int8Tensor", act_quant_kwargs=None), "torchao-int8"),
        (named("Int8Tensor", act_quant_kwargs=1), "torchao-int8-dynamic"),
        (named("Float9Tensor"), "Float9Tensor"),
    ],
)
def test_the_quantization_in_force_is_read_from_the_weights(weight: Any, kind: str) -> None:
    assert kind_of(weight) == kind


def test_tensors_behind_quantized_weights_are_found() -> None:
    plain = [SimpleNamespace(untyped_storage=None) for _ in range(4)]
    wrapper = SimpleNamespace(__tensor_flatten__=lambda: (["data", "scale"], {}), data=plain[0], scale=plain[1])
    second = SimpleNamespace(absmax=plain[2], code=plain[3])
    state = SimpleNamespace(absmax=plain[0], code=plain[1], offset=None, state2=second)

    assert list(inner_tensors(wrapper)) == plain[:2]
    packed = SimpleNamespace(quant_state=state)
    assert list(inner_tensors(packed)) == [packed, *plain]


def test_serving_without_settings_is_vanilla_and_its_defaults_are_left_out() -> None:
    vanilla = serving(GPT2)

    assert vanilla.sha256 == vanilla.vanilla == serving(GPT2, batching="padded", shared_prefix=0).sha256
    assert serving(GPT2, batching="continuous").vanilla == vanilla.sha256
