"""Batch size of generation: more sequences share each reading of the weights, so tokens a second grow and the time
for each token hardly does, until the device is busy.

From https://huggingface.co/docs/transformers/llm_optims. Prompts have different lengths and are padded on the left. One
core of a CPU is busy even with small batches, so the time for each token grows too, though less than the batch.
"""

import pytest

from fixtures.models import models, swept

LLAMA = models()["llama-quick"]


@pytest.mark.parametrize(("model", "batch_size"), swept("generation", [1, 2, 4, 8], few=[8]))
def test_batch_size(perf, generation, model, batch_size):
    perf(generation(model, batch_size=batch_size))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize(("model", "batch_size"), swept("generation", [16], few=[16]))
def test_large_batch(perf, generation, model, batch_size):
    perf(generation(model, batch_size=batch_size))


@pytest.mark.perf(tier="quick")
def test_sequences_share_each_reading_of_the_weights(effect, generation):
    effect(
        generation(LLAMA, batch_size=1),
        generation(LLAMA, batch_size=16),
        tokens_per_s={"cpu": "> 1.5x", "cuda": "> 6x"},
        time_per_output_token_s={"cpu": "< 5x", "cuda": "< 1.5x"},
        weights_bytes="< 1.001x",
        flops="> 15x",
    )
