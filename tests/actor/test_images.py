"""Settings of a pipeline's denoiser as they are put into force, and the times and peaks of a pipeline's components."""

from itertools import count
from types import SimpleNamespace

import pytest
import torch

from fixtures.models import image_models
from perfgate.workloads.tasks import image_generation
from tests.actor.test_dry_run import dried

pytest.importorskip("diffusers")

from perfgate.actor.devices import open_device
from perfgate.actor.devices.emulated import LOOKING_UP, beginning
from perfgate.actor.instruments.device_memory import DeviceMemory
from perfgate.actor.instruments.memory import TensorMemory
from perfgate.actor.programs.base import Program
from perfgate.actor.programs.image_generation import Clocks
from perfgate.actor.techniques import denoiser as settings
from perfgate.actor.techniques.diffusion import build_denoiser

SD, DIT = (image_models()[name] for name in ("stable-diffusion-quick", "diffusion-transformer-quick"))
MIB = 2**20


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


@pytest.mark.parametrize("name", LOOKING_UP)
def test_a_scheduler_begins_with_its_first_timestep_where_an_emulated_card_finds_none(name):
    scheduler = getattr(pytest.importorskip("diffusers"), name)()
    scheduler.set_timesteps(5)
    found_nowhere = torch.tensor(-1.0)
    assert beginning(type(scheduler).index_for_timestep)(scheduler, found_nowhere) == 0


@pytest.mark.slice
def test_the_highest_predicted_peak_of_a_component_is_that_of_the_step_workspaces_included():
    found = dried(image_generation(SD, denoising_steps=1), "cuda")
    peaks = [component["peak_memory_bytes"] for component in found["components"].values()]
    assert max(peaks) == found["peak_memory_bytes"]
    assert min(peaks) > found["memory"]["workspaces"]["temporaries"]


class Takes(torch.nn.Module):
    """Takes some memory while it is called, and a decoder does so by a method of its own."""

    def __init__(self, take, *sizes_mib):
        super().__init__()
        self.take, self.sizes_mib = take, list(sizes_mib)

    def forward(self):
        self.take(self.sizes_mib[0] * MIB)
        self.sizes_mib.append(self.sizes_mib.pop(0))

    decode = forward


class Painter(Program):
    """A pipeline that takes the most memory where none of its components is at work."""

    def __init__(self, take):
        self.take = take
        self.components = {"denoiser": Takes(take, 2, 3), "vae": Takes(take, 5)}

    def step(self):
        self.components["denoiser"]()
        self.components["denoiser"]()
        self.take(9 * MIB)
        self.components["vae"].decode()


def takes_of_the_cpu(size_bytes):
    torch.empty(size_bytes, dtype=torch.uint8)


def measured(instrument, program):
    """What an instrument tells of the second step, by each step or at the end."""
    instrument.start()
    instrument.built(program)
    for _ in range(2):
        instrument.begin_step()
        program.step()
        told = instrument.end_step()
    return told | {name: found[-1] for name, found in instrument.finish().items()}


def test_the_profiler_tells_the_peak_of_each_component_and_of_the_whole_step():
    found = measured(TensorMemory(open_device({"kind": "cpu"}, "memory", None, 1)), Painter(takes_of_the_cpu))
    peak = found["peak_memory_bytes"]
    assert peak - found["vae_peak_bytes"] == (9 - 5) * MIB
    assert found["vae_peak_bytes"] - found["denoiser_peak_bytes"] == (5 - 3) * MIB


class Counting:
    """A device whose allocator keeps its highest level."""

    name, torch_device = "cuda", "cuda"

    def __init__(self):
        self.level = self.highest = 100 * MIB

    def take(self, size_bytes):
        self.highest = max(self.highest, self.level + size_bytes)

    def reset_peaks(self):
        self.highest = self.level

    def peaks(self):
        return {"peak_memory_bytes": self.highest, "allocation_retries": 1}


def test_an_allocator_tells_the_peak_of_each_component_and_still_that_of_the_whole_step():
    device = Counting()
    assert measured(DeviceMemory(device), Painter(device.take)) == {
        "peak_memory_bytes": 109 * MIB,
        "allocation_retries": 1,
        "denoiser_peak_bytes": 103 * MIB,
        "vae_peak_bytes": 105 * MIB,
    }


def test_a_device_that_keeps_no_highest_level_tells_no_peak_of_a_component():
    device = open_device({"kind": "cpu"}, "memory", None, 1)
    assert measured(DeviceMemory(device), Painter(takes_of_the_cpu)) == {}


def test_the_weights_of_the_component_before_are_gone_where_the_next_one_begins():
    device, first, second = Counting(), Takes(lambda _: None, 1), Takes(lambda _: None, 1)

    class CpuOffload:
        def __init__(self, change):
            self.change = change

        def pre_forward(self, _):
            device.level += self.change
            device.take(0)
            self.change = 0

    first._hf_hook, second._hf_hook = CpuOffload(50 * MIB), CpuOffload(-40 * MIB)
    program = Painter(device.take)
    program.components = {"denoiser": first, "vae": second}
    instrument = DeviceMemory(device)
    instrument.built(program)
    instrument.begin_step()
    first()
    second()
    found = instrument.end_step()
    assert found["denoiser_peak_bytes"] == 150 * MIB
    assert found["vae_peak_bytes"] == 110 * MIB
