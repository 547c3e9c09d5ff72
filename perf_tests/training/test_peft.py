"""Adapters (LoRA): the weights are frozen, and small matrices of a low rank beside them are trained. Gradients and
optimizer state shrink to the adapters' size; the forward pass does a little more work. QLoRA stores the frozen weights
in 4 bits (nf4), and decodes them each time they are used.

From https://huggingface.co/docs/peft/developer_guides/lora and https://huggingface.co/docs/peft/developer_guides/quantization.
The bytes are the same on a CPU and on a GPU. A CPU decodes slowly, so a step with QLoRA takes longer there; on a GPU
it takes somewhat longer.
"""

import pytest

from fixtures.models import models

LLAMA = models()["llama-quick"]
LARGE = models()["Llama-3.2-1B"]


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("rank", [8, pytest.param(64, marks=pytest.mark.perf(tier="full"))])
def test_lora(perf, training, rank):
    perf(training(LLAMA, lora_rank=rank))


@pytest.mark.perf(tier="full")
def test_qlora(perf, training):
    perf(training(LLAMA, lora_rank=8, quantization="nf4"))


@pytest.mark.perf(tier="full")
@pytest.mark.parametrize("quantization", ["off", "nf4"])
@pytest.mark.parametrize("rank", [8, 64])
def test_lora_of_a_large_model(perf, training, rank, quantization):
    # peft keeps what is not quantized in 32 bits, so bf16 can only be mixed in.
    precision = "bf16" if quantization == "off" else "bf16-amp"
    settings = {"precision": precision, "batch_size": 1, "sequence_length": 512}
    perf(training(LARGE, lora_rank=rank, quantization=quantization, **settings))


@pytest.mark.perf(tier="quick")
def test_adapters_alone_have_gradients_and_state(effect, training):
    effect(
        training(LLAMA),
        training(LLAMA, lora_rank=8),
        gradients_bytes="< 0.1x",
        optimizer_state_bytes="< 0.1x",
        weights_bytes="> 1x and < 1.1x",
        predicted_peak_bytes="< 0.9x",
    )


@pytest.mark.perf(tier="quick")
def test_adapters_grow_with_their_rank(effect, training):
    adapters = {"gradients_bytes": "> 7.9x and < 8.1x", "optimizer_state_bytes": "> 7.8x and < 8.1x"}
    effect(training(LLAMA, lora_rank=8), training(LLAMA, lora_rank=64), **adapters)


@pytest.mark.perf(tier="quick")
def test_frozen_weights_of_4_bits_take_less(effect, training):
    effect(
        training(LLAMA, lora_rank=8),
        training(LLAMA, lora_rank=8, quantization="nf4"),
        measured_weights_bytes="< 0.6x",
        near={"losses": 0.02},
    )
