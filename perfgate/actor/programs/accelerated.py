"""Training in a plain loop over ``accelerate``, as the tutorials write it."""

from collections import deque
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader
from transformers import Trainer

from perfgate.actor import versions
from perfgate.actor.data.loading import endless, training_source
from perfgate.actor.devices.base import Device
from perfgate.actor.phases import Phases
from perfgate.actor.programs.base import OUTCOME_STEPS, Program
from perfgate.actor.techniques.distributed import join, sharding_plugin
from perfgate.actor.techniques.memory_savings import configure_allocator, save_memory
from perfgate.actor.techniques.models import build_training
from perfgate.actor.techniques.optimizers import assembled, built_here, state_of
from perfgate.actor.techniques.readback import asked_and_in_force
from perfgate.actor.techniques.training_settings import (
    TrainingSettings,
    compile_mode,
    enable_checkpointing,
    training_arguments,
)

MAX_GRAD_NORM = 1.0


class AcceleratedLoop(Program):
    """A step is one update of the weights: fetching its micro-batches, forward, backward, clipping and optimizer."""

    dry_run = "perfgate.actor.dry_run.programs.training:DryAcceleratedLoop"

    def __init__(
        self,
        device: Device,
        model: dict[str, Any],
        task: str,
        seed: int,
        batch_size: int,
        gradient_accumulation: int,
        sequence_length: int,
        data: Any = None,
        **settings: Any,
    ) -> None:
        self.phases: Phases = Phases()
        self.chosen = chosen = TrainingSettings(**settings)
        self.ranks = chosen.ranks
        join(chosen, device)
        self.accumulation = gradient_accumulation
        self.samples = batch_size * gradient_accumulation * chosen.batches
        configure_allocator(chosen.allocator)
        network = build_training(model, seed, chosen)
        save_memory(network, chosen.chunked_loss, chosen.activation_offload)
        if chosen.liger:
            versions.need("apply_liger_kernel", "liger=True")(network, None)
        source = training_source(chosen, network.config, model, task, self.samples, sequence_length, seed, data)
        self.tokens = source.tokens
        if chosen.activation_checkpointing:
            enable_checkpointing(network, chosen.activation_checkpointing)
        # First, as its arguments reset what an Accelerator set up.
        on_cpu = device.torch_device == "cpu"
        found = plain_optimizer(chosen, network, on_cpu)
        self.accelerator = Accelerator(
            cpu=on_cpu,
            gradient_accumulation_steps=gradient_accumulation,
            fsdp_plugin=sharding_plugin(chosen),
            mixed_precision=chosen.mixed_precision,
            kwargs_handlers=recipes(chosen.mixed_precision),
        )
        self.network = network
        compiled = compile_model(network, chosen.compile)
        # Before its weights are handed to the optimizer.
        network.to(device.torch_device)
        self.wrapped, self.optimizer, loader = self.accelerator.prepare(
            compiled.train(),
            assembled(found, network, [p for p in network.parameters() if p.requires_grad]),
            DataLoader(source.rows, batch_size=batch_size, shuffle=True),
        )
        # An optimizer that steps within the backward pass needs the rate there.
        self.fused = {"learning_rate": found[1]["lr"]} if chosen.optimizer == "lomo" else {}
        self.batches = endless(loader)
        self.steps: deque[list[Any]] = deque(maxlen=OUTCOME_STEPS)

    def parts(self) -> dict[str, Any]:
        """Weights, buffers, and what the optimizer keeps."""
        return {**super().parts(), "optimizer_state": state_of(self.optimizer)}

    def outcome(self) -> dict[str, list[float]]:
        """The loss of each step: the mean of its micro-batches'."""
        return {"losses": [float(sum(losses) / len(losses)) for losses in self.steps]}

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read from what ``accelerate`` prepared."""
        return asked_and_in_force(self.chosen, self.network, self.wrapped, self.optimizer, self.accelerator)

    def step(self) -> list[Any]:
        """Train on the micro-batches of one update; returns their losses."""
        span = self.phases.span
        losses = []
        for _ in range(self.accumulation):
            with span("data_wait"):
                batch = next(self.batches)
            with self.accelerator.accumulate(self.wrapped):
                with span("forward"):
                    loss = self.wrapped(**batch).loss
                with span("backward"):
                    self.accelerator.backward(loss, **self.fused)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.wrapped.parameters(), MAX_GRAD_NORM)
                with span("optimizer"):
                    self.optimizer.step()
                self.optimizer.zero_grad()
            losses.append(loss.detach())
        if self.keeps_outcome:
            self.steps.append(losses)
        return losses


def recipes(mixed_precision: str) -> list[Any]:
    """How ``accelerate`` computes in 8 bits; by default it would wrap weights for FSDP, of which there is none here."""
    if mixed_precision != "fp8":
        return []
    return [versions.need("AORecipeKwargs", "precision='fp8-amp'")(enable_fsdp_float8_all_gather=False)]


def compile_model(network: Any, chosen: str) -> Any:
    """What is called in place of a model: itself, compiled as a whole, or with its layers compiled one by one."""
    if chosen == "off":
        return network
    if chosen == "regional":
        return versions.need("compile_regions", "compile='regional'")(network)
    return torch.compile(network, mode=compile_mode(chosen))


def plain_optimizer(chosen: TrainingSettings, network: Any, on_cpu: bool = True) -> tuple[Any, dict[str, Any]]:
    """The optimizer's class or factory and its arguments, as the Trainer names and sets them."""
    arguments = training_arguments(chosen, use_cpu=on_cpu)
    own = built_here(chosen.optimizer, arguments.learning_rate)
    return own or versions.trainers_optimizer(Trainer, arguments, network)
