"""Training in a plain loop over ``accelerate``, as the tutorials write it."""

from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from perfgate.actor.devices import Device
from perfgate.actor.programs.base import Program
from perfgate.actor.programs.inputs import DATASET_STEPS, training_rows
from perfgate.actor.programs.models import build_model

LEARNING_RATE = 5e-5
MAX_GRAD_NORM = 1.0


class AcceleratedLoop(Program):
    """A step is one update of the weights: fetching its micro-batches, forward, backward, clipping and optimizer."""

    def __init__(
        self,
        device: Device,
        model: dict[str, Any],
        task: str,
        seed: int,
        batch_size: int,
        gradient_accumulation: int,
        sequence_length: int,
    ) -> None:
        self.accumulation = gradient_accumulation
        self.samples = batch_size * gradient_accumulation
        self.tokens = self.samples * sequence_length
        network = build_model(model, seed)
        rows = training_rows(network.config, task, self.samples * DATASET_STEPS, sequence_length, seed)
        self.accelerator = Accelerator(
            cpu=device.name == "cpu", gradient_accumulation_steps=gradient_accumulation, mixed_precision="no"
        )
        self.network, self.optimizer, loader = self.accelerator.prepare(
            network.train(),
            torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, fused=False),
            DataLoader(rows, batch_size=batch_size, shuffle=True),
        )
        self.batches = endless(loader)

    def step(self) -> list[Any]:
        """Train on the micro-batches of one update; returns their losses."""
        losses = []
        for _ in range(self.accumulation):
            batch = next(self.batches)
            with self.accelerator.accumulate(self.network):
                loss = self.network(**batch).loss
                self.accelerator.backward(loss)
                if self.accelerator.sync_gradients:
                    self.accelerator.clip_grad_norm_(self.network.parameters(), MAX_GRAD_NORM)
                self.optimizer.step()
                self.optimizer.zero_grad()
            losses.append(loss.detach())
        return losses


def endless(loader: Any) -> Iterator[Any]:
    """Epoch after epoch."""
    while True:
        yield from loader
