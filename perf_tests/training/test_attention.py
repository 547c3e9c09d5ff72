"""Attention: the same result from different kernels. ``eager`` writes out a matrix of scores that is as long as the
sequence both ways; fused kernels never do, so their activations grow with the sequence and not with its square.

From https://huggingface.co/docs/transformers/attention_interface. ``sdpa-math``, ``sdpa-flash`` and ``sdpa-efficient``
allow only that kernel of torch. On a CPU ``sdpa`` is fused if there is no dropout, as in Llama, and the others need a
GPU. On a GPU FlashAttention works only in 16 bits, and is the fastest for long sequences.
"""

import pytest

from fixtures.models import beyond, models

LLAMA, LLAMA_1B = models()["llama-quick"], models()["Llama-3.2-1B"]
FLASH = [f"flash_attention_{version}" for version in (2, 3, 4)]
IN_16_BITS = ["sdpa-flash", "sdpa-efficient", "flex_attention", *FLASH]
SHORT, LONG = {"batch_size": 2, "sequence_length": 512}, {"batch_size": 2, "sequence_length": 1024}


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("attention", ["eager", "sdpa", *beyond("full", "sdpa-math")])
def test_attention(perf, training, attention):
    perf(training(LLAMA, attention=attention, **SHORT))


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("attention", IN_16_BITS)
def test_attention_in_16_bits(perf, training, attention):
    perf(training(LLAMA, attention=attention, precision="bf16", **SHORT))


@pytest.mark.parametrize("sequence_length", [1024, 4096])
@pytest.mark.parametrize("attention", ["eager", "sdpa", "sdpa-math", *IN_16_BITS])
@pytest.mark.parametrize("model", [LLAMA_1B], ids=lambda model: model.name)
def test_attention_at_length(perf, training, model, attention, sequence_length):
    perf(training(model, attention=attention, precision="bf16", batch_size=1, sequence_length=sequence_length))


@pytest.mark.perf(tier="quick")
def test_fused_attention_keeps_no_scores(effect, training):
    effect(
        training(LLAMA, attention="eager", **SHORT),
        training(LLAMA, attention="sdpa", **SHORT),
        activations_bytes="< 0.8x",
        step_time_s={"cuda": "< 1.1x"},
        near={"losses": 1e-4},
    )


@pytest.mark.perf(tier="quick")
def test_activations_are_linear_in_the_sequence(effect, training):
    effect(
        training(LLAMA, attention="sdpa", **SHORT),
        training(LLAMA, attention="sdpa", **LONG),
        activations_bytes="> 1.9x and < 2.1x",
    )


@pytest.mark.perf(tier="quick")
def test_with_scores_they_are_not(effect, training):
    effect(
        training(LLAMA, attention="eager", **SHORT),
        training(LLAMA, attention="eager", **LONG),
        activations_bytes="> 2.3x",
    )
