"""Prefill and decode: the prompt is read at once, then tokens come one by one. Time to the first token grows with the
prompt; time for each further token is about constant, as a cache keeps what was read.

From https://huggingface.co/docs/transformers/llm_tutorial_optimization. Prefill is bound by arithmetic, decode by
reading weights and cache. On a GPU a small model's prefill waits for launches, however long the prompt is.
"""

import pytest

from fixtures.models import beyond, models, swept

LLAMA = models()["llama-quick"]
# A model without a table of positions, because a long prompt would exceed the table.
ROTARY = [models()[name] for name in ("llama-quick", "Llama-3.2-1B", "Qwen3-0.6B")]


@pytest.mark.parametrize(("model", "prompt_length"), swept("generation", [128, 256, 512]))
def test_prefill_and_decode(perf, generation, model, prompt_length):
    perf(generation(model, prompt_length=prompt_length))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("prompt_length", [2048, *beyond("full", 1024)])
@pytest.mark.parametrize("model", ROTARY, ids=lambda model: model.name)
def test_long_prompt(perf, generation, model, prompt_length):
    perf(generation(model, prompt_length=prompt_length))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("inputs", [{"padded": 0.0}, {"mask": "none", "padded": 0.0}], ids=["equal", "unmasked"])
def test_prompts_without_padding(perf, generation, inputs):
    perf(generation(LLAMA, batch_size=4, **inputs))


@pytest.mark.perf(tier="quick")
def test_prefill_grows_with_the_prompt_and_decode_hardly(effect, generation):
    effect(
        generation(LLAMA, prompt_length=128),
        generation(LLAMA, prompt_length=1024),
        time_to_first_token_s={"cpu": "> 3x"},
        time_per_output_token_s={"cpu": "< 2x", "cuda": "< 1.3x"},
        flops="> 6x",
    )


@pytest.mark.perf(tier="quick")
def test_each_further_token_costs_the_same(effect, generation):
    effect(
        generation(LLAMA, prompt_length=1024, new_tokens=17),
        generation(LLAMA, prompt_length=1024, new_tokens=33),
        operator_calls="> 1.8x and < 2x",
        flops="< 1.05x",
    )
