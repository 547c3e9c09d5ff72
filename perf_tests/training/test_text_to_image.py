"""Training an image model: its denoiser learns to predict the noise that was added to images.

From https://huggingface.co/docs/diffusers/training/text2image. The loss is the mean squared error between the noise
and the denoiser's prediction. Images and prompts are already encoded, so the encoders do not run. A UNet keeps many
activations for its weights, since its first blocks work on the whole picture: activation checkpointing takes most of
them away and computes the forward pass again. A diffusion transformer has as many tokens in each of its blocks.

On a CPU times follow the arithmetic. On a GPU convolutions and products run faster in half precision, and small
pictures leave it waiting for Python. Adapters (LoRA) on attention alone are how most people train such a model.
"""

import pytest

from fixtures.models import beyond, image_models

SD, DIT = (image_models()[name] for name in ("stable-diffusion-quick", "diffusion-transformer-quick"))
QUICK = pytest.mark.perf(tier="quick")


@pytest.mark.parametrize("model", image_models().values(), ids=lambda model: model.name)
def test_denoiser(perf, denoiser_training, model):
    perf(denoiser_training(model))


@QUICK
@pytest.mark.parametrize("batch_size", [2, *beyond("full", 1, 8)])
def test_batch_size(perf, denoiser_training, batch_size):
    perf(denoiser_training(SD, batch_size=batch_size))


@QUICK
def test_gradient_accumulation(perf, denoiser_training):
    perf(denoiser_training(SD, batch_size=2, gradient_accumulation=2))


@QUICK
@pytest.mark.parametrize("model", [SD, DIT], ids=lambda model: model.name)
def test_activation_checkpointing(perf, denoiser_training, model):
    perf(denoiser_training(model, activation_checkpointing=True))


@QUICK
@pytest.mark.parametrize("precision", ["bf16", "bf16-amp"])
def test_precision(perf, denoiser_training, precision):
    perf(denoiser_training(SD, precision=precision))


@QUICK
@pytest.mark.parametrize("optimizer", ["adamw_torch_fused", "adafactor", "sgd"])
def test_optimizer(perf, denoiser_training, optimizer):
    perf(denoiser_training(DIT, optimizer=optimizer))


@QUICK
def test_adapters(perf, denoiser_training):
    perf(denoiser_training(SD, lora_rank=4))


@QUICK
@pytest.mark.parametrize("model", [SD, DIT], ids=lambda model: model.name)
def test_checkpointed_blocks_lower_the_peak_and_are_computed_again(effect, denoiser_training, model):
    effect(
        denoiser_training(model),
        denoiser_training(model, activation_checkpointing=True),
        predicted_peak_bytes="< 0.95x",
        activations_bytes="< 0.6x",
        flops="> 1.2x and < 1.4x",
        near={"losses": 1e-3},
    )


@QUICK
def test_pieces_of_a_batch_keep_fewer_activations(effect, denoiser_training):
    effect(
        denoiser_training(SD),
        denoiser_training(SD, batch_size=2, gradient_accumulation=2),
        activations_bytes="< 0.6x",
        flops="> 0.99x and < 1.01x",
    )


@QUICK
def test_weights_of_16_bits_halve_every_part(effect, denoiser_training):
    effect(
        denoiser_training(SD),
        denoiser_training(SD, precision="bf16"),
        weights_bytes="< 0.55x",
        optimizer_state_bytes="< 0.55x",
        activations_bytes="< 0.6x",
    )


@QUICK
def test_adapters_alone_have_state(effect, denoiser_training):
    effect(
        denoiser_training(SD),
        denoiser_training(SD, lora_rank=4),
        optimizer_state_bytes="< 0.05x",
        predicted_peak_bytes="< 0.95x",
    )
