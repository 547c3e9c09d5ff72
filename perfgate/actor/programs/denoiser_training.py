"""Trains the denoiser of an image model: it learns to predict the noise that was added to images."""

from collections import deque
from contextlib import nullcontext
from typing import Any

import torch
from torch.nn import functional

from perfgate.actor.devices.base import Device
from perfgate.actor.phases import Phases
from perfgate.actor.programs.base import OUTCOME_STEPS, Program
from perfgate.actor.request import DenoiserSettings, Request, TrainingSettings
from perfgate.actor.techniques.denoiser import ATTENTION_LAYERS
from perfgate.actor.techniques.diffusion import (
    CLASSES,
    PROMPT_TOKENS,
    build_denoiser,
    noise_scheduler,
)
from perfgate.actor.techniques.models import DTYPES
from perfgate.actor.techniques.optimizers import assembled, optimizer_name, state_of
from perfgate.actor.techniques.readback import convolutions, precision_of
from perfgate.actor.techniques.training_parts import plain_optimizer
from perfgate.shared.settings import asked

MAX_GRAD_NORM = 1.0


class DenoiserTraining(Program):
    """A step is one update of the weights, over latent images and prompts that are already encoded."""

    def __init__(self, device: Device, **params: Any) -> None:
        self.phases: Phases = Phases()
        request = Request.of(DenoiserSettings, params)
        self.chosen = chosen = request.chosen
        self.device = device
        torch.manual_seed(request.seed)
        mixed = chosen.precision.endswith("-amp")
        self.weights = DTYPES["fp32" if mixed else chosen.precision]
        network = build_denoiser(request.model["config"], chosen.image_size)
        self.network = network = network.to(device.torch_device, self.weights).train()
        if chosen.lora_rank:
            add_adapters(network, chosen.lora_rank)
        if chosen.activation_checkpointing:
            network.enable_gradient_checkpointing()
        self.trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        found = plain_optimizer(TrainingSettings(optimizer=chosen.optimizer), network, device.torch_device == "cpu")
        self.optimizer = assembled(found, network, self.trained)
        self.scheduler = noise_scheduler()
        self.batches = [self.batch() for _ in range(chosen.gradient_accumulation)]
        self.samples = chosen.batch_size * chosen.gradient_accumulation
        self.mixing = torch.autocast(device.torch_device, torch.bfloat16) if mixed else nullcontext()
        self.mixed = False
        self.steps: deque[list[Any]] = deque(maxlen=OUTCOME_STEPS)

    def batch(self) -> dict[str, Any]:
        """Latent images, and the condition of each: a prompt's states, or the number of a class."""
        config, size = self.network.config, self.chosen.batch_size
        kind = {"device": self.device.torch_device, "dtype": self.weights}
        images = torch.randn(size, config.in_channels, config.sample_size, config.sample_size, **kind)
        if "cross_attention_dim" in config and config.cross_attention_dim:
            states = torch.randn(size, PROMPT_TOKENS, config.cross_attention_dim, **kind)
            return {"images": images, "shown": {"encoder_hidden_states": states}}
        classes = torch.arange(size, device=self.device.torch_device) % CLASSES
        return {"images": images, "shown": {"class_labels": classes}}

    def step(self) -> list[Any]:
        """Train on the micro-batches of one update; returns their losses."""
        span = self.phases.span
        losses = []
        for batch in self.batches:
            with span("forward"):
                loss = self.loss(**batch)
            with span("backward"):
                (loss / len(self.batches)).backward()
            losses.append(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.trained, MAX_GRAD_NORM)
        with span("optimizer"):
            self.optimizer.step()
            self.optimizer.zero_grad()
        if self.keeps_outcome:
            self.steps.append(losses)
        return losses

    def loss(self, images: Any, shown: dict[str, Any]) -> Any:
        """The mean squared error of the predicted noise, for images to which noise was added."""
        noise = torch.randn_like(images)
        when = torch.randint(0, self.scheduler.config.num_train_timesteps, images.shape[:1], device=images.device)
        noisy = self.scheduler.add_noise(images, noise, when)
        with self.mixing:
            self.mixed = torch.is_autocast_enabled(images.device.type)
            told = self.network(noisy, when, **shown).sample
        # An image transformer also predicts variances, in as many extra channels.
        return functional.mse_loss(told[:, : images.shape[1]].float(), noise.float())

    def parts(self) -> dict[str, Any]:
        """Weights, buffers, and the optimizer's state."""
        return {**super().parts(), "optimizer_state": state_of(self.optimizer)}

    def outcome(self) -> dict[str, list[float]]:
        """The loss of each step: the mean of its micro-batches'."""
        return {"losses": [float(sum(losses) / len(losses)) for losses in self.steps]}

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings from the denoiser and the optimizer, and from the modes during the denoiser's call."""
        ranks = [adapter.r for adapter in getattr(self.network, "peft_config", {}).values()]
        return asked(self.chosen), {
            "precision": precision_of(self.network, "bf16" if self.mixed else "no"),
            "optimizer": optimizer_name(self.optimizer),
            "activation_checkpointing": bool(self.network.is_gradient_checkpointing),
            "lora_rank": ranks[0] if ranks else 0,
            **convolutions(self.network, "bf16" if self.mixed else "no"),
        }


def add_adapters(network: Any, rank: int) -> None:
    """Freeze the weights, and train small matrices of a low rank beside those of attention."""
    from peft import LoraConfig  # optional, and a fork server must not import it

    network.requires_grad_(False)
    network.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=ATTENTION_LAYERS))
