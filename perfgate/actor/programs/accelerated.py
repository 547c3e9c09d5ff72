"""Training in a plain loop over ``accelerate``, as in its tutorials."""

from collections import deque
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from perfgate.actor import versions
from perfgate.actor.data.loading import endless, loading_in_force
from perfgate.actor.devices.base import Device
from perfgate.actor.phases import Phases
from perfgate.actor.programs.base import OUTCOME_STEPS, Program
from perfgate.actor.request import Request, TrainingSettings
from perfgate.actor.techniques.distributed import sharding_plugin
from perfgate.actor.techniques.optimizers import assembled, state_of
from perfgate.actor.techniques.readback import asked_and_in_force
from perfgate.actor.techniques.training_parts import TrainingParts, plain_optimizer
from perfgate.actor.techniques.training_settings import compile_mode, enable_checkpointing, keep_tf32
from perfgate.shared.settings.common import GRAPHED

MAX_GRAD_NORM = 1.0


class AcceleratedLoop(Program):
    """A step is one update of the weights: fetching its micro-batches, forward, backward, clipping and optimizer."""

    dry_run = "perfgate.actor.dry_run.programs.training:DryAcceleratedLoop"

    def __init__(self, device: Device, **params: Any) -> None:
        self.phases: Phases = Phases()
        parts = TrainingParts.build(Request.of(TrainingSettings, params), device)
        self.chosen = chosen = parts.chosen
        self.network = network = parts.network
        self.ranks, self.samples, self.tokens = chosen.ranks, chosen.samples, parts.source.tokens
        if chosen.liger:
            versions.need("apply_liger_kernel", "liger=True")(network, None)
        if chosen.activation_checkpointing:
            enable_checkpointing(network, chosen.activation_checkpointing)
        # Before the Accelerator, because making the Trainer's arguments resets the state that an Accelerator shares.
        on_cpu = device.torch_device == "cpu"
        found = plain_optimizer(chosen, network, on_cpu)
        self.accelerator = Accelerator(
            cpu=on_cpu,
            gradient_accumulation_steps=chosen.gradient_accumulation,
            fsdp_plugin=sharding_plugin(chosen),
            mixed_precision=chosen.mixed_precision,
            kwargs_handlers=recipes(chosen.mixed_precision),
        )
        keep_tf32(chosen, device.torch_device)
        compiled = compile_model(network, chosen.compile)
        # Before the optimizer gets the weights.
        network.to(device.torch_device)
        self.wrapped, self.optimizer, self.loader = self.accelerator.prepare(
            compiled.train(),
            assembled(found, network, [p for p in network.parameters() if p.requires_grad]),
            DataLoader(parts.source.rows, batch_size=chosen.batch_size, shuffle=True),
        )
        # An optimizer that steps within the backward pass needs the learning rate there.
        self.fused = {"learning_rate": found[1]["lr"]} if chosen.optimizer == "lomo" else {}
        self.batches = endless(self.loader)
        self.mask = ""
        self.steps: deque[list[Any]] = deque(maxlen=OUTCOME_STEPS)

    def parts(self) -> dict[str, Any]:
        """Weights, buffers, and the optimizer's state."""
        return {**super().parts(), "optimizer_state": state_of(self.optimizer)}

    def outcome(self) -> dict[str, list[float]]:
        """The loss of each step: the mean of its micro-batches'."""
        return {"losses": [float(sum(losses) / len(losses)) for losses in self.steps]}

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings as ``accelerate`` prepared them."""
        asked, found = asked_and_in_force(self.chosen, self.network, self.wrapped, self.optimizer, self.accelerator)
        # A plain loop never empties the allocator's cache.
        return asked, found | loading_in_force(self.loader) | {"empty_cache_steps": 0, "mask": self.mask}

    def step(self) -> list[Any]:
        """Train on the micro-batches of one update; returns their losses."""
        span = self.phases.span
        losses = []
        for _ in range(self.chosen.gradient_accumulation):
            with span("data_wait"):
                batch = next(self.batches)
            self.mask = "given" if "attention_mask" in batch else "none"
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
            # The next step overwrites a loss in the memory of a CUDA graph.
            copied = self.keeps_outcome and self.chosen.compile in GRAPHED
            losses.append(loss.detach().clone() if copied else loss.detach())
        if self.keeps_outcome:
            self.steps.append(losses)
        return losses


def recipes(mixed_precision: str) -> list[Any]:
    """The handlers for computing in 8 bits; by default ``accelerate`` would wrap weights for FSDP, unused here."""
    if mixed_precision != "fp8":
        return []
    return [versions.need("AORecipeKwargs", "precision='fp8-amp'")(enable_fsdp_float8_all_gather=False)]


def compile_model(network: Any, chosen: str) -> Any:
    """The object to call in place of a model: the model itself, compiled as a whole, or with compiled layers."""
    if chosen == "off":
        return network
    if chosen == "regional":
        return versions.need("compile_regions", "compile='regional'")(network)
    return torch.compile(network, mode=compile_mode(chosen))
