"""Attention: different kernels compute the same products. Eager attention writes the scores of every pair of tokens to
memory; scaled dot product attention (SDPA) and flash kernels never store all of them.

From https://huggingface.co/docs/transformers/attention_interface. The savings grow with the square of the prompt's
length: operator calls and memory on a CPU, and also time on a GPU. The text stays the same.
"""

import pytest

from fixtures.models import models
from perfgate.shared.settings import GENERATION

LLAMA = models()["llama-quick"]
LARGE = models()["Llama-3.2-1B"]
QUICK = ("eager", "sdpa")
OTHERS = [name for name in GENERATION.by_name["attention"].values if name not in ("default", *QUICK)]


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("attention", QUICK)
def test_attention(perf, generation, attention):
    perf(generation(LLAMA, attention=attention, prompt_length=512))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("attention", [*QUICK, *OTHERS])
def test_attention_in_bf16(perf, generation, attention):
    perf(generation(LARGE, attention=attention, precision="bf16", prompt_length=512))


@pytest.mark.perf(tier="quick")
def test_sdpa_never_holds_all_scores(effect, generation):
    eager, sdpa = (generation(LLAMA, attention=attention, prompt_length=512) for attention in QUICK)
    effect(eager, sdpa, operator_calls="< 0.95x", predicted_peak_bytes="< 0.8x", moved_bytes="< 0.8x", same="tokens")


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize(("attention", "growth"), [("eager", "> 2.6x"), ("sdpa", "< 2.2x")])
def test_memory_grows_with_the_square_of_the_prompt_where_scores_are_held(effect, generation, attention, growth):
    effect(
        generation(LLAMA, attention=attention, prompt_length=512),
        generation(LLAMA, attention=attention, prompt_length=1024),
        activations_bytes=growth,
        flops="> 1.5x",
    )
