"""Image generation: noise becomes an image in steps, each one a pass of the denoiser; then a decoder makes the pixels.

From https://huggingface.co/docs/diffusers/optimization/memory and
https://huggingface.co/docs/diffusers/optimization/fp16. The denoiser takes nearly all of the time, and its calls are
the scheduler's timesteps: half the steps, half the time. Guidance (a prompt that is followed more closely) shows each
image twice to the denoiser, with its prompt and without. At large pictures the decoder has the peak of memory, which
tiles and slices bound, and attention that keeps its scores has the denoiser's, which slices lower. Weights that wait
on the host until they are called leave the GPU room, by model or, slower, by layer
(https://huggingface.co/docs/diffusers/optimization/memory#offloading). Adapters add small products to each step until
they are fused into the weights (https://huggingface.co/docs/diffusers/using-diffusers/merge_loras#fuse_lora). A cache
between steps takes attention's results from the step before, and nearly the same picture comes out
(https://huggingface.co/docs/diffusers/optimization/cache). `enable_cache` belongs to larger transformers than these;
pyramid attention broadcast is a function as well, which takes any network. The first block's cache needs a pipeline
that names its passes, and decides by values, so it is not here.

On a CPU times follow the arithmetic. On a GPU half precision is faster, and small pictures leave it waiting for Python.
"""

import pytest

from fixtures.models import image_models

SD, DIT = (image_models()[name] for name in ("stable-diffusion-quick", "diffusion-transformer-quick"))
QUICK = pytest.mark.perf(tier="quick")
FULL = pytest.mark.perf(tier="full")
COMPILED = {"whole": (SD, "whole"), "regional": (SD, "regional"), "transformer": (DIT, "whole")}
BROADCAST = {"cache": "pyramid_attention_broadcast"}


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
@pytest.mark.parametrize("precision", ["bf16", pytest.param("fp16", marks=FULL)])
def test_precision(perf, image_generation, precision):
    perf(image_generation(SD, precision=precision))


@FULL
@pytest.mark.parametrize("offload", ["model", "layers"])
def test_offload(perf, image_generation, offload):
    perf(image_generation(SD, offload=offload))


@FULL
@pytest.mark.parametrize("lora", ["on", "fused"])
def test_lora(perf, image_generation, lora):
    perf(image_generation(SD, lora=lora))


@FULL
@pytest.mark.parametrize("model", [SD, DIT], ids=lambda model: model.name)
def test_cache(perf, image_generation, model):
    perf(image_generation(model, **BROADCAST))


@FULL
@pytest.mark.parametrize(("model", "mode"), COMPILED.values(), ids=COMPILED)
def test_compile(perf, image_generation, model, mode):
    perf(image_generation(model, compile=mode))


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


@FULL
def test_tiles_bound_the_decoder_s_peak(effect, image_generation):
    """On a GPU the workspaces of matrix products, 33 MB, stay."""
    effect(
        image_generation(SD, image_size=128, denoising_steps=1),
        image_generation(SD, image_size=128, denoising_steps=1, vae_tiling=True),
        vae_peak_bytes={"cpu": "< 0.6x", "cuda": "< 0.85x"},
        predicted_vae_peak_bytes="< 0.6x",
        predicted_cuda_vae_peak_bytes="< 0.85x",
    )


@QUICK
@pytest.mark.parametrize("offload", ["model", pytest.param("layers", marks=FULL)])
def test_offloaded_weights_leave_the_gpu_s_peak(effect, image_generation, offload):
    """Only the workspaces of matrix products stay on the GPU, which the net peak leaves out."""
    peak = {"model": "< 0.9x", "layers": "< 0.7x"}[offload]
    effect(
        image_generation(SD),
        image_generation(SD, offload=offload),
        peak_net_bytes={"cuda": peak},
        predicted_cuda_net_bytes=peak,
    )


@FULL
def test_adapters_add_calls(effect, image_generation):
    effect(image_generation(SD), image_generation(SD, lora="on"), operator_calls="> 1.05x", flops="< 1.2x")


@FULL
def test_fused_adapters_add_no_calls(effect, image_generation):
    effect(
        image_generation(SD, lora="on"),
        image_generation(SD, lora="fused"),
        operator_calls="< 0.95x",
        flops="< 0.999x",
        near={"logits": 1e-3},
    )


@FULL
@pytest.mark.parametrize("model", [SD, DIT], ids=lambda model: model.name)
def test_a_cache_between_steps_saves_attention(effect, image_generation, model):
    effect(image_generation(model), image_generation(model, **BROADCAST), flops="< 0.98x", operator_calls="< 0.97x")


@FULL
def test_a_compiled_denoiser_is_faster(effect, image_generation):
    effect(
        image_generation(SD),
        image_generation(SD, compile="whole"),
        step_time_s={"cpu": "< 0.98x", "cuda": "< 0.9x"},
        near={"logits": 1e-3},
    )


@FULL
def test_blocks_are_compiled_once_in_place_of_the_whole(effect, image_generation):
    effect(
        image_generation(SD, compile="whole"),
        image_generation(SD, compile="regional"),
        compile_time_s="< 0.7x",
        near={"logits": 1e-3},
    )
