"""Speculative decoding: a cheap method drafts several tokens, and the model checks all of them in one pass, so that it
reads its weights once for several tokens. The text stays the same. Work on rejected drafts is lost.

From https://huggingface.co/docs/transformers/assisted_decoding. The assistant consists of the model's own embedding,
first layers and output layer, because a separate model with random weights would never agree. The share of accepted
drafts does not carry over to real pairs of models: with random weights the model mostly repeats the same token, on
which its layers agree, and prompt look-up copies from these repetitions and not from the prompt. On a CPU, look-up
saves time and an assistant of half the layers costs time. On a GPU, drafts save time if reading the model's weights
takes longer than the Python code of a pass.
"""

import pytest

from fixtures.models import beyond, models

GPT2 = models()["gpt2-quick"]
LLAMA = models()["llama-quick"]


@pytest.mark.perf(tier="quick")
def test_assistant_model(perf, generation):
    perf(generation(GPT2, new_tokens=64, assistant_layers=1))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("tokens", [10, *beyond("full", 3)])
def test_prompt_lookup(perf, generation, tokens):
    perf(generation(LLAMA, new_tokens=64, prompt_lookup_tokens=tokens))


@pytest.mark.perf(tier="quick")
def test_an_assistant_saves_passes(effect, generation):
    effect(
        generation(GPT2, new_tokens=64),
        generation(GPT2, new_tokens=64, assistant_layers=1),
        forward_calls="< 0.4x",
        same="tokens",
    )


@pytest.mark.perf(tier="quick")
def test_look_up_saves_passes_and_time(effect, generation):
    effect(
        generation(LLAMA, new_tokens=64),
        generation(LLAMA, new_tokens=64, prompt_lookup_tokens=10),
        forward_calls="< 0.6x",
        step_time_s={"cpu": "< 0.9x"},
        same="tokens",
    )
