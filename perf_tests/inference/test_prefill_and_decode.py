"""Prefill and decode: the prompt is read at once, then tokens come one by one. Time to the first token grows with the
prompt; time for each further token is about constant, as a cache keeps what was read.

From https://huggingface.co/docs/transformers/llm_tutorial_optimization. Prefill is bound by arithmetic, decode by
reading weights and cache.
"""

import pytest


@pytest.mark.parametrize("prompt_length", [128, 256, 512])
def test_prefill_and_decode(perf, generation, model, prompt_length):
    perf(generation(model, prompt_length=prompt_length))
