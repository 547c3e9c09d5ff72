"""Image generation: noise becomes a picture in steps, each of them a pass of the denoiser, and a decoder makes pixels.

From https://huggingface.co/docs/diffusers/optimization/memory and
https://huggingface.co/docs/diffusers/optimization/fp16. The denoiser takes nearly all of the time, and its calls are
the scheduler's timesteps: half the steps, half the time. Guidance (a prompt that is followed more closely) shows each
image twice to the denoiser, with its prompt and without. At large pictures the decoder has the peak of memory, which
tiles and slices bound, and attention that keeps its scores has the denoiser's, which slices lower.

On a CPU times follow the arithmetic. On a GPU half precision is faster, and small pictures leave it waiting for Python.
"""

import pytest

from fixtures.models import image_models

SD, DIT = (image_models()[name] for name in ("stable-diffusion-quick", "diffusion-transformer-quick"))
QUICK = pytest.mark.perf(tier="quick")


@pytest.mark.parametrize("model", image_models().values(), ids=lambda model: model.name)
def test_image(perf, image_generation, model):
    perf(image_generation(model))


@QUICK
@pytest.mark.parametrize("model", [SD, DIT], ids=lambda model: model.name)
def test_guidance(perf, image_generation, model):
    perf(image_generation(model, guidance=True))


@QUICK
@pytest.mark.parametrize("scheduler", ["euler", "dpm"])
def test_scheduler(perf, image_generation, scheduler):
    perf(image_generation(SD, scheduler=scheduler))


@QUICK
@pytest.mark.parametrize("setting", ["attention_slicing", "vae_tiling", "vae_slicing", "channels_last"])
def test_memory_and_layout(perf, image_generation, setting):
    perf(image_generation(SD, batch_size=2, **{setting: True}))


@QUICK
def test_precision(perf, image_generation):
    perf(image_generation(SD, precision="bf16"))


@QUICK
def test_the_denoiser_is_called_once_a_timestep(effect, image_generation):
    effect(
        image_generation(SD),
        image_generation(SD, denoising_steps=8),
        denoiser_calls="> 1.99x and < 2.01x",
        step_time_s="> 1.3x",
    )


@QUICK
def test_guidance_doubles_the_denoiser_s_batch(effect, image_generation):
    effect(
        image_generation(SD),
        image_generation(SD, guidance=True),
        denoiser_calls="> 0.99x and < 1.01x",
        denoised_samples="> 1.99x and < 2.01x",
    )


@QUICK
def test_slices_of_attention_lower_the_peak_of_eager_attention(effect, image_generation):
    effect(
        image_generation(SD, batch_size=4, attention="eager"),
        image_generation(SD, batch_size=4, attention_slicing=True),
        peak_memory_bytes="< 0.95x",
        near={"logits": 1e-4},
    )
