"""Settings of a pipeline's denoiser as they are put into force, and the times of a pipeline's components."""

from itertools import count
from types import SimpleNamespace

import pytest
import torch

from fixtures.models import image_models
from perfgate.workloads.tasks import image_generation
from tests.actor.test_dry_run import dried

pytest.importorskip("diffusers")

from perfgate.actor.programs.image_generation import Clocks
from perfgate.actor.techniques import denoiser as settings
from perfgate.actor.techniques.diffusion import build_denoiser

SD, DIT = (image_models()[name] for name in ("stable-diffusion-quick", "diffusion-transformer-quick"))


@pytest.fixture
def unet():
    """A UNet with random weights."""
    return build_denoiser(SD.source["config"], 0)


class Marking:
    """A device whose marks are numbers, and which is asked for times only when it is done."""

    torch_device = "cuda"

    def __init__(self):
        self.numbers, self.done = count(), False

    def mark(self):
        return next(self.numbers)

    def between_s(self, begin, end):
        assert self.done
        return float(end - begin)


def test_components_are_timed_between_marks_of_the_device_without_waiting_for_it():
    device, denoiser, text_encoder = Marking(), torch.nn.Identity(), torch.nn.Identity()
    vae = SimpleNamespace(decode=lambda images: images)
    clock = Clocks(SimpleNamespace(components={"text_encoder": text_encoder}, vae=vae), denoiser, device)
    clock.begin()
    text_encoder(torch.zeros(1))
    for _ in range(3):
        denoiser(torch.zeros(2))
    vae.decode(torch.zeros(1))
    told = clock.told()
    clock.begin()

    device.done = True
    assert told() == {
        "text_encoder_s": 1.0,
        "vae_s": 1.0,
        "denoising_step_s": 1.0,
        "denoiser_calls": 3,
        "denoised_samples": 6,
    }


@pytest.mark.parametrize("chosen", ["off", "whole", "regional"])
def test_whether_a_denoiser_is_compiled_is_read_from_it(unet, chosen):
    settings.compile_denoiser(unet, chosen)
    assert settings.compile_of(unet) == chosen


@pytest.mark.parametrize("chosen", ["off", "on", "fused"])
def test_whether_adapters_are_fused_is_read_from_them(unet, chosen):
    settings.add_adapters(unet, chosen)
    assert settings.lora_of(unet) == chosen


@pytest.mark.slice
def test_fused_adapters_cost_a_step_nothing():
    off, fused = (dried(image_generation(SD, denoising_steps=1, lora=lora)) for lora in ("off", "fused"))
    assert fused["operators"] == off["operators"]
    assert fused["flops"] == off["flops"]


def test_attention_is_computed_in_every_second_step_but_at_the_ends():
    network = build_denoiser(DIT.source["config"], 0).requires_grad_(False)
    kept = settings.KeptAttention(network, steps=10)
    assert settings.cache_of(network) == settings.BROADCAST
    computed = []
    network.transformer_blocks[0].attn1.to_q.register_forward_hook(lambda *_: computed.append(kept.calls - 1))
    for _ in range(2):
        for _ in range(10):
            network(torch.zeros(1, 4, 16, 16), torch.tensor([500]), class_labels=torch.tensor([1]))
        kept.forget()
    assert computed == 2 * [0, 1, 2, 4, 6, 8, 9]


def test_a_denoiser_without_a_cache_is_seen(unet):
    assert settings.cache_of(unet) == "off"
