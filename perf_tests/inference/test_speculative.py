"""Speculative decoding: something cheap writes a draft, and the model checks all of it in one pass, so that one reading
of the weights gives several tokens. The text is the same; what is refused of a draft was computed for nothing.

From https://huggingface.co/docs/transformers/assisted_decoding. The assistant is the first layers of the model itself
with its embedding and output layer, as random weights agree with no others. How much is accepted says nothing of real
pairs: this model hardly leaves the token that it is at, which its layers agree on, and what look-up finds is the circle
that its text runs in, not its prompt. On a CPU look-up takes less time, and an assistant of half the layers more. On a
GPU, drafts pay with models whose weights take longer to read than Python takes a pass.
"""

import pytest

from fixtures.models import beyond, models

GPT2 = models()["gpt2-quick"]
LLAMA = models()["llama-quick"]


@pytest.mark.perf(tier="quick")
def test_assistant_model(perf, generation):
    perf(generation(GPT2, new_tokens=64, assistant_layers=1))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("tokens", [10, *beyond("standard", 3)])
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
