"""Activation checkpointing: layers drop their activations in the forward pass and compute them again in the backward
pass. Only little more than the inputs of the layers stays in memory, and the step does the forward pass twice.

From https://huggingface.co/docs/transformers/grad_checkpointing. ``every_2_layers`` checkpoints every other layer;
``offload`` also moves the kept inputs to the host. On a CPU and on a GPU alike activations fall to a fraction and FLOPs
grow by up to a third; on a GPU the step is about 20% slower. Offloading needs a GPU, because a CPU is the host itself.
"""

import pytest

from fixtures.models import models

GPT2, VIT_BASE = models()["gpt2-quick"], models()["vit-base"]
LARGE = [models()["gpt2"], models()["Llama-3.2-1B"]]


@pytest.mark.perf(tier="quick")
@pytest.mark.parametrize("layers", [True, "every_2_layers", "offload"])
def test_activation_checkpointing(perf, training, layers):
    perf(training(GPT2, activation_checkpointing=layers))


@pytest.mark.parametrize("layers", [True, "every_2_layers", "every_4_layers", "offload"])
@pytest.mark.parametrize("model", LARGE, ids=lambda model: model.name)
def test_activation_checkpointing_at_length(perf, training, model, layers):
    perf(training(model, batch_size=4, sequence_length=1024, activation_checkpointing=layers))


@pytest.mark.perf(tier="quick")
def test_activations_fall_and_the_forward_pass_is_done_again(effect, training):
    effect(
        training(GPT2),
        training(GPT2, activation_checkpointing=True),
        activations_bytes="< 0.5x",
        flops="> 1.1x and < 1.34x",
        weights_bytes="> 0.999x and < 1.001x",
        near={"losses": 1e-5},
    )


@pytest.mark.perf(tier="quick")
def test_fewer_layers_trade_less(effect, training):
    effect(
        training(GPT2, activation_checkpointing=True),
        training(GPT2, activation_checkpointing="every_2_layers"),
        activations_bytes="> 1.2x",
        flops="< 0.95x",
    )


@pytest.mark.perf(tier="quick", dry=True)
def test_offloading_frees_what_checkpointing_keeps(effect, training):
    effect(
        training(VIT_BASE, activation_checkpointing=True, batch_size=128),
        training(VIT_BASE, activation_checkpointing="offload", batch_size=128),
        predicted_cuda_peak_bytes="< 0.93x",
        flops="> 0.999x and < 1.001x",
    )
