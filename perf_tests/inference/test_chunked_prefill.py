"""Chunked prefill: the model reads a long prompt in pieces, and takes earlier pieces from the cache. The peak memory is
that of one piece, and each piece needs the operator calls of a whole forward pass.

From https://huggingface.co/docs/transformers/main_classes/text_generation (``prefill_chunk_size``). Memory falls on
every device alike. On a GPU the time to the first token grows if a piece is too small to keep the GPU busy. The text
stays the same.
"""

import pytest

from fixtures.models import beyond, models

LLAMA = models()["llama-quick"]
LARGE = models()["Llama-3.2-1B"]
PROMPT = 1024


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("chunk", [64, *beyond("full", 256)])
def test_chunked_prefill(perf, generation, chunk):
    perf(generation(LLAMA, prompt_length=PROMPT, prefill_chunk_size=chunk))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("chunk", [0, 256, 1024])
def test_chunked_prefill_in_bf16(perf, generation, chunk):
    perf(generation(LARGE, precision="bf16", prompt_length=4096, prefill_chunk_size=chunk))


@pytest.mark.perf(tier="quick")
def test_chunks_need_less_memory(effect, generation):
    effect(
        generation(LLAMA, prompt_length=PROMPT),
        generation(LLAMA, prompt_length=PROMPT, prefill_chunk_size=64),
        predicted_peak_bytes="< 0.7x",
        activations_bytes="< 0.7x",
        operator_calls="> 1.5x",
        flops="< 1.2x",
        same="tokens",
    )
