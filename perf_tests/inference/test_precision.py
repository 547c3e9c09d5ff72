"""Precision: weights and arithmetic in 16 bits. Weights take half the bytes, with 3 (bfloat16) or 4 (float16)
significant digits less.

From https://huggingface.co/docs/transformers/llm_optims. On a GPU with tensor cores everything is faster, and decoding
in proportion to the bytes that are read. On a CPU without instructions for 16 bits everything may be slower.
"""

import pytest

from fixtures.models import models

LLAMA = models()["llama-quick"]
BERT = models()["bert-quick"]
CHECKPOINTS = [LLAMA, models()["Llama-3.2-1B"], models()["Qwen3-0.6B"]]


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("model", CHECKPOINTS, ids=lambda model: model.name)
def test_precision(perf, generation, model, precision):
    perf(generation(model, precision=precision))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_precision_of_an_encoder(perf, forward, precision):
    perf(forward(BERT, precision=precision))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_weights_take_half_the_bytes(effect, generation, precision):
    effect(
        generation(LLAMA),
        generation(LLAMA, precision=precision),
        weights_bytes="> 0.49x and < 0.51x",
        predicted_peak_bytes="< 0.7x",
        near={"logits": 0.05},
    )


@pytest.mark.perf(tier="full")
def test_halved_weights_are_read_faster(effect, generation):
    """A fast GPU waits for the host between kernels, so only the time in kernels falls."""
    vanilla, setting = (generation(models()["Llama-3.2-1B"], precision=precision) for precision in ("fp32", "bf16"))
    effect(vanilla, setting, weights_bytes="< 0.51x", device_time_s={"cuda": "< 0.9x"})
