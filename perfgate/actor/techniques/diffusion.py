"""Builds pipelines and denoisers of diffusers from configurations, and puts settings into force on them."""

import contextlib
from collections.abc import Mapping
from typing import Any

import torch

from perfgate.actor.request import ImageSettings
from perfgate.actor.techniques.denoiser import add_adapters

# Cases with images are skipped if it is not installed; the fork server imports it in advance if it is.
with contextlib.suppress(ImportError):
    import diffusers
    from diffusers import AutoencoderKL, DDPMScheduler, DiTPipeline, StableDiffusionPipeline
    from transformers import CLIPTextConfig, CLIPTextModel

    diffusers.utils.logging.set_verbosity_error()  # it warns that weights are converted, although nothing is lost

SCHEDULERS = {"ddim": "DDIMScheduler", "euler": "EulerDiscreteScheduler", "dpm": "DPMSolverMultistepScheduler"}
EAGER, SLICED = "AttnProcessor", "SlicedAttnProcessor"
PROMPT_TOKENS = 77
CLASSES = 1000
OFFLOADS = {"CpuOffload": "model", "AlignDevicesHook": "layers"}  # by the class of accelerate's hook


def noise_scheduler() -> Any:
    """The scheduler that adds noise in training."""
    return DDPMScheduler()


def build_denoiser(config: Mapping[str, Any], image_size: int) -> Any:
    """The network that removes noise, with random weights.

    Args:
        config: the configuration of the whole model.
        image_size: the side of an image in pixels; 0 for the model's own size.
    """
    own = dict(config["denoiser"])
    if image_size:
        own["sample_size"] = image_size // pixels_of_a_latent(config)
    return getattr(diffusers, own["_class_name"]).from_config(own)


def pixels_of_a_latent(config: Mapping[str, Any]) -> int:
    """The side in pixels of the square that the decoder makes of one latent pixel."""
    return int(2 ** (len(config["vae"]["block_out_channels"]) - 1))


def build_pipeline(config: Mapping[str, Any], chosen: ImageSettings) -> Any:
    """The pipeline with random weights and with its networks in evaluation mode, as after loading."""
    vae = AutoencoderKL.from_config(config["vae"])
    scheduler = getattr(diffusers, SCHEDULERS[chosen.scheduler])()
    denoiser = build_denoiser(config, chosen.image_size)
    add_adapters(denoiser, chosen.lora)
    for network in (vae, denoiser):
        network.eval()
    if "text_encoder" not in config:
        return DiTPipeline(transformer=denoiser, vae=vae, scheduler=scheduler)
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(CLIPTextConfig(**config["text_encoder"])).eval(),
        tokenizer=None,
        unet=denoiser,
        scheduler=scheduler,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def put_into_force(pipeline: Any, chosen: ImageSettings) -> None:
    """Put the settings into force that apply to a finished pipeline."""
    pipeline.set_progress_bar_config(disable=True)
    denoiser = denoiser_of(pipeline)
    if chosen.attention == "eager":
        denoiser.set_attn_processor(diffusers.models.attention_processor.AttnProcessor())
    if chosen.attention_slicing:
        pipeline.enable_attention_slicing(1)
    if chosen.vae_tiling:
        pipeline.vae.enable_tiling()
    if chosen.vae_slicing:
        pipeline.vae.enable_slicing()
    if chosen.channels_last:
        denoiser.to(memory_format=torch.channels_last)


def put_in_place(pipeline: Any, offload: str, device: str, dtype: Any) -> None:
    """Convert the weights, and move them to the device, or let them stay on the host until needed.

    Args:
        pipeline: the pipeline.
        offload: the value of the setting.
        device: the device's name in torch.
        dtype: the number type of all weights.
    """
    if offload == "off":
        pipeline.to(device, dtype)
        return
    pipeline.to(dtype=dtype)
    if offload == "model":
        pipeline.enable_model_cpu_offload(device=device)
    else:
        pipeline.enable_sequential_cpu_offload(device=device)


def offload_of(denoiser: Any) -> str:
    """The value of the setting ``offload`` in force."""
    return OFFLOADS.get(type(getattr(denoiser, "_hf_hook", None)).__name__, "off")


def denoiser_of(pipeline: Any) -> Any:
    """The network that removes noise."""
    return pipeline.components.get("unet") or pipeline.components["transformer"]


def networks_in(pipeline: Any) -> dict[str, Any]:
    """The pipeline's networks by their common names: ``text_encoder``, ``denoiser`` and ``vae``."""
    found = {"text_encoder": pipeline.components.get("text_encoder"), "denoiser": denoiser_of(pipeline)}
    return {name: part for name, part in {**found, "vae": pipeline.vae}.items() if part is not None}
