"""Generates images by a diffusers pipeline, from a configuration and a seed."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from perfgate.actor.devices.base import Device
from perfgate.actor.pace import Pace
from perfgate.actor.programs.base import OUTCOME_VALUES, Program
from perfgate.actor.request import ImageSettings, Request
from perfgate.actor.techniques.denoiser import KeptAttention, cache_of, compile_denoiser, compile_of, lora_of
from perfgate.actor.techniques.diffusion import (
    CLASSES,
    EAGER,
    PROMPT_TOKENS,
    SCHEDULERS,
    SLICED,
    build_pipeline,
    denoiser_of,
    networks_in,
    offload_of,
    put_in_place,
    put_into_force,
)
from perfgate.actor.techniques.models import DTYPES
from perfgate.actor.techniques.readback import convolutions
from perfgate.shared.settings import asked

GUIDANCE = 7.5


class ImageGeneration(Program):
    """A step makes a batch of images, from the prompt's tokens to pixels."""

    dry_run = "perfgate.actor.dry_run.programs.image_generation:DryImageGeneration"

    def __init__(self, device: Device, **params: Any) -> None:
        request = Request.of(ImageSettings, params)
        self.chosen = chosen = request.chosen
        self.device = device
        torch.manual_seed(request.seed)
        config = request.model["config"]
        self.pipeline = build_pipeline(config, chosen)
        self.components = networks_in(self.pipeline)
        self.network = torch.nn.ModuleDict(self.components).requires_grad_(False)
        put_in_place(self.pipeline, chosen.offload, device.torch_device, DTYPES[chosen.precision])
        put_into_force(self.pipeline, chosen)
        self.denoiser = denoiser_of(self.pipeline)
        self.kept = KeptAttention(self.denoiser, chosen.denoising_steps) if chosen.cache != "off" else None
        compile_denoiser(self.denoiser, chosen.compile)
        self.prompt = torch.randint(0, 999, (chosen.batch_size, PROMPT_TOKENS), device=device.torch_device)
        self.samples = chosen.batch_size
        self.images: Any = None
        self.clock = Clocks(self.pipeline, self.denoiser, device)

    def drive(self, pace: Pace) -> None:
        """Report the components' times and the denoiser's calls with each step."""
        while True:
            pace.begin()
            self.clock.begin()
            images = self.step()
            pace.end(images, self.clock.told())

    def step(self) -> Any:
        """Return images with pixels between 0 and 1."""
        chosen = self.chosen
        options: dict[str, Any] = {"num_inference_steps": chosen.denoising_steps, "output_type": "pt"}
        options["guidance_scale"] = GUIDANCE if chosen.guidance else 1.0
        options["generator"] = torch.Generator("cpu").manual_seed(0)
        with torch.inference_mode():
            if "text_encoder" in self.pipeline.components:
                text = self.pipeline.text_encoder(self.prompt)[0]
                images = self.pipeline(prompt_embeds=text, negative_prompt_embeds=text, **options).images
            else:
                options["output_type"] = "np"
                found = self.pipeline(class_labels=[n % CLASSES for n in range(chosen.batch_size)], **options).images
                images = torch.from_numpy(found)
        if self.kept is not None:
            self.kept.forget()
        self.images = images if self.keeps_outcome else None
        return images

    def outcome(self) -> dict[str, list[float]]:
        """The first pixels."""
        return {"logits": [] if self.images is None else self.images.flatten()[:OUTCOME_VALUES].float().tolist()}

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings from the pipeline."""
        processors = {type(one).__name__ for one in getattr(self.denoiser, "attn_processors", {}).values()}
        names = {name: short for short, name in SCHEDULERS.items()}
        weight = next(one for one in self.denoiser.parameters() if one.dim() == 4 and min(one.shape[1:3]) > 1)
        return asked(self.chosen), {
            "guidance": self.clock.largest > self.chosen.batch_size,
            "scheduler": names.get(type(self.pipeline.scheduler).__name__, "other"),
            "precision": next(name for name, dtype in DTYPES.items() if dtype == weight.dtype),
            "attention": "eager" if processors == {EAGER} else "sdpa",
            "attention_slicing": processors == {SLICED},
            "vae_tiling": self.pipeline.vae.use_tiling,
            "vae_slicing": self.pipeline.vae.use_slicing,
            "offload": offload_of(self.denoiser),
            "compile": compile_of(self.denoiser),
            "lora": lora_of(self.denoiser),
            "cache": cache_of(self.denoiser),
            "channels_last": weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous(),
            **convolutions(self.denoiser),
        }


class Clocks:
    """Times a pipeline's components and counts the denoiser's calls, by hooks around their forward passes.

    The device is marked before and after each call, without waiting for it.
    """

    def __init__(self, pipeline: Any, denoiser: Any, device: Device) -> None:
        self.device = device
        self.spans: list[Span] = []
        self.calls = self.denoised = self.largest = 0
        self.began: Any = None
        parts = {"denoising_s": denoiser, "text_encoder_s": pipeline.components.get("text_encoder")}
        for name, part in parts.items():
            if part is not None:
                part.register_forward_pre_hook(self._started)
                part.register_forward_hook(lambda *_, name=name: self._ended(name))
        denoiser.register_forward_pre_hook(self._called, with_kwargs=True)
        decode = pipeline.vae.decode

        def timed(*given: Any, **named: Any) -> Any:
            self._started()
            found = decode(*given, **named)
            self._ended("vae_s")
            return found

        pipeline.vae.decode = timed

    def begin(self) -> None:
        """Forget the last step."""
        self.spans, self.calls, self.denoised = [], 0, 0

    def told(self) -> Callable[[], dict[str, float]]:
        """The metrics of a step, once the device is done."""
        return partial(told, self.device, self.spans, self.calls, self.denoised)

    def _called(self, _: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        seen: Any = given[0] if given else named.get("sample", named.get("hidden_states"))
        batch = len(seen)
        self.calls += 1
        self.denoised += batch
        self.largest = max(self.largest, batch)

    def _started(self, *_: Any) -> None:
        self.began = self.device.mark()

    def _ended(self, name: str) -> None:
        self.spans.append((name, self.began, self.device.mark()))


Span = tuple[str, Any, Any]  # the name of a component's time, and the marks around one of its calls


def told(device: Device, spans: list[Span], calls: int, denoised: int) -> dict[str, float]:
    """The seconds of each component, the number of the denoiser's calls, and the images in them.

    Args:
        device: the device, which has reached all marks.
        spans: the spans of a step.
        calls: the number of the denoiser's calls; the time of a denoising step is the mean over them.
        denoised: the total number of images in these calls.
    """
    seconds: dict[str, float] = {}
    for name, begin, end in spans:
        seconds[name] = seconds.get(name, 0.0) + device.between_s(begin, end)
    if "denoising_s" in seconds:
        seconds["denoising_step_s"] = seconds.pop("denoising_s") / max(calls, 1)
    return {**seconds, "denoiser_calls": calls, "denoised_samples": denoised}
