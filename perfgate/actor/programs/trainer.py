"""Training through ``transformers.Trainer``, which owns its loop and is paced in a callback."""

import tempfile
from typing import Any

from transformers import Trainer, TrainerCallback, TrainingArguments

from perfgate.actor.devices import Device
from perfgate.actor.pace import Pace
from perfgate.actor.programs.base import Program
from perfgate.actor.programs.inputs import DATASET_STEPS, training_rows
from perfgate.actor.programs.models import build_model

ENDLESS = 1_000_000


class TrainerLoop(Program):
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
        network = build_model(model, seed)
        self.samples = batch_size * gradient_accumulation
        self.tokens = self.samples * sequence_length
        rows = training_rows(network.config, task, self.samples * DATASET_STEPS, sequence_length, seed)
        # Everything that costs hidden time is pinned, whatever a version's default.
        arguments = TrainingArguments(
            output_dir=tempfile.gettempdir(),
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=gradient_accumulation,
            max_steps=ENDLESS,
            optim="adamw_torch",
            max_grad_norm=1.0,
            logging_strategy="no",
            logging_nan_inf_filter=False,
            save_strategy="no",
            eval_strategy="no",
            report_to=[],
            disable_tqdm=True,
            skip_memory_metrics=True,
            dataloader_num_workers=0,
            dataloader_pin_memory=False,
            seed=seed,
            use_cpu=device.name == "cpu",
        )
        self.trainer = LossKeeper(model=network, args=arguments, train_dataset=rows)

    def drive(self, pace: Pace) -> None:
        """Hand the loop to the Trainer."""
        self.trainer.add_callback(PaceCallback(pace, self.trainer))
        self.trainer.train()


class LossKeeper(Trainer):
    """Keeps the losses of a step's micro-batches, to be looked at when the step is over."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.losses: list[Any] = []

    def training_step(self, *arguments: Any, **keywords: Any) -> Any:
        """Train on one micro-batch."""
        loss = super().training_step(*arguments, **keywords)
        self.losses.append(loss)
        return loss


class PaceCallback(TrainerCallback):
    """Waits for a token between two updates; so the next batch is fetched inside the step that uses it."""

    def __init__(self, pace: Pace, trainer: LossKeeper) -> None:
        self._pace = pace
        self._trainer = trainer

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Wait for the first token."""
        self._pace.begin()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Report the step that ended, then wait for the next token."""
        losses, self._trainer.losses = self._trainer.losses, []
        self._pace.end(losses)
        self._pace.begin()
