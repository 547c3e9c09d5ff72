"""The settings of generation: what excludes what, what is skipped, and what is in force."""

import contextlib

import pytest

from fixtures.models import models
from perfgate.actor.devices import open_device
from perfgate.actor.pace import Done
from perfgate.actor.programs.generation import Generation
from perfgate.measure.validity import other_settings
from perfgate.shared.errors import UserError
from perfgate.workloads.requirements import missing
from perfgate.workloads.tasks import forward, generation

GPT2, LLAMA, T5 = (models()[name] for name in ("gpt2-quick", "llama-quick", "t5-quick"))


@pytest.mark.parametrize(
    ("shape", "settings", "reason"),
    [
        (T5, {"cache": "quantized-fp8"}, "cache='quantized-fp8' does not go with an encoder-decoder model"),
        (T5, {"prefill_chunk_size": 8}, "prefill_chunk_size=8 has no prompt to cut"),
        (LLAMA, {"prefill_chunk_size": 8, "cache": "none"}, "prefill_chunk_size=8 needs a cache"),
        (LLAMA, {"prefill_chunk_size": 128}, "prefill_chunk_size=128 leaves a prompt of 128 whole"),
        (LLAMA, {"compile_decode": "default"}, "needs a cache of a fixed size; add cache='static'"),
        (LLAMA, {"compile_decode": "default", "cache": "static", "compile": "default"}, "compile the same steps"),
        (LLAMA, {"compile": "reduce-overhead"}, "need a cache of a fixed size; use compile_decode='reduce-overhead'"),
        (GPT2, {"prompt_length": 1010, "new_tokens": 16}, "take 1025 positions, and the model has 1024"),
        (LLAMA, {"kernels": "RMSNorm"}, "is not of the form 'LAYER=FOLDER:CLASS'"),
        (LLAMA, {"kernels": 1}, "setting 'kernels' must be a text, not 1"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_started(shape, settings, reason):
    with pytest.raises(UserError) as error:
        generation(shape, **settings)
    assert reason in str(error.value)


def test_the_last_position_of_a_table_may_be_taken():
    assert generation(GPT2, prompt_length=1009, new_tokens=16).params["prompt_length"] == 1009


def test_settings_at_their_defaults_are_vanilla():
    workload = generation(LLAMA, cache="default", compile_decode="auto", prefill_chunk_size=0, kernels="")
    assert workload.sha256 == workload.vanilla
    assert forward(LLAMA, kernels="").sha256 == forward(LLAMA).sha256


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"cache": "offloaded"}, "cache='offloaded' needs a GPU"),
        ({"kernels": "RMSNorm=fixtures/absent:Norm"}, "hf download kernels-community/absent --local-dir"),
    ],
)
def test_what_is_missing_here_is_said(settings, reason):
    assert any(reason in sentence for sentence in missing(generation(LLAMA, **settings), "cpu"))


def test_a_missing_compiler_is_said(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiled = generation(LLAMA, cache="static", compile_decode="default")
    assert "no-such-compiler is not here" in next(missing(compiled, "cpu"))
    assert list(missing(generation(LLAMA, cache="static", compile_decode="off"), "cpu")) == []


class OneStep:
    """Stands for the pace."""

    def __init__(self):
        self.steps = 0

    def begin(self):
        self.steps += 1
        if self.steps > 1:
            raise Done

    def end(self, *_):
        """Nothing is reported."""


def in_force_after(settings, **changed):
    """What is wrong with the settings of a step, whose options of ``generate`` were changed behind their back."""
    workload = generation(LLAMA, batch_size=2, prompt_length=8, new_tokens=2, **settings)
    program = Generation(device=open_device({"kind": "cpu"}, "counters", None, 1), **workload.params)
    program.keeps_outcome = True
    program.options |= changed
    with contextlib.suppress(Done):
        program.drive(OneStep())
    return other_settings(*program.effective())


@pytest.mark.parametrize("cache", ["default", "none", "dynamic", "static", "quantized-fp8"])
def test_the_cache_that_is_in_force_is_told(cache):
    assert in_force_after({"cache": cache}) == ""


@pytest.mark.parametrize(
    ("settings", "changed", "reason"),
    [
        ({"cache": "static"}, {"cache_implementation": None}, "asked for cache=static, in force is dynamic"),
        ({"cache": "none"}, {"use_cache": True}, "asked for cache=none, in force is dynamic"),
        ({"prefill_chunk_size": 4}, {"prefill_chunk_size": None}, "asked for prefill_chunk_size=4, in force is 0"),
        ({}, {"prefill_chunk_size": 4}, "asked for prefill_chunk_size=0, in force is 4"),
    ],
)
def test_another_way_of_generating_is_told(settings, changed, reason):
    assert in_force_after(settings, **changed) == reason


def test_a_kernel_that_was_not_put_in_is_told():
    workload = generation(LLAMA, batch_size=1, prompt_length=4, new_tokens=1)
    program = Generation(device=open_device({"kind": "cpu"}, "counters", None, 1), **workload.params)
    program.chosen = type(program.chosen)(kernels="RMSNorm=somewhere:Norm")
    assert "asked for kernels=RMSNorm=somewhere:Norm, in force is " in other_settings(*program.effective())


@pytest.mark.parametrize(("mode", "ahead"), [("reduce-overhead", True), ("default", False)])
def test_a_static_cache_has_its_room_before_a_graph_is_captured(monkeypatch, mode, ahead):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    from perfgate.actor.techniques.decoding import compiled_forward

    settings = {"num_hidden_layers": 1, "hidden_size": 32, "intermediate_size": 32, "vocab_size": 64}
    config = transformers.LlamaConfig(**settings, num_attention_heads=2, num_key_value_heads=2)
    network = transformers.LlamaForCausalLM(config).eval()
    seen = []

    def compiled(function, **chosen):
        def call(*arguments, **keywords):
            seen.append(keywords["past_key_values"].is_initialized)
            return function(*arguments, **keywords)

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    network.forward = compiled_forward(network, mode)
    ids = torch.ones(1, 4, dtype=torch.long)
    with torch.inference_mode():
        network.generate(ids, max_new_tokens=2, cache_implementation="static", disable_compile=True, pad_token_id=0)
    assert seen[0] == ahead
