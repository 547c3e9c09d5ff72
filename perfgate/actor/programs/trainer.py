"""Training through ``transformers.Trainer``, which owns its loop and is paced in a callback."""

from collections import deque
from contextlib import AbstractContextManager
from typing import Any

from transformers import Trainer, TrainerCallback

from perfgate.actor.devices import Device
from perfgate.actor.pace import Pace
from perfgate.actor.phases import UNTIMED, Phases
from perfgate.actor.programs.base import OUTCOME_STEPS, Program
from perfgate.actor.programs.distributed import join, split
from perfgate.actor.programs.effective import asked_and_in_force, state_of
from perfgate.actor.programs.inputs import DATASET_STEPS, training_rows
from perfgate.actor.programs.models import build_model, build_tokenizer
from perfgate.actor.programs.settings import TrainingSettings, training_arguments
from perfgate.actor.programs.text import text_rows

ENDLESS = 1_000_000


class TrainerLoop(Program):
    """A step is one update of the weights: fetching its micro-batches, forward, backward, clipping and optimizer."""

    dry_run = "perfgate.actor.ledger.training:DryTraining"

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
        network = build_model(model, seed, chosen.weights, chosen.attention, chosen.lora_rank)
        self.network = network = split(network, chosen)
        self.samples = batch_size * gradient_accumulation * chosen.batches
        self.tokens = self.samples * sequence_length
        if data:
            rows = text_rows(build_tokenizer(model), data, self.samples * DATASET_STEPS, sequence_length)
        else:
            rows = training_rows(network.config, task, self.samples * DATASET_STEPS, sequence_length, seed)
        arguments = training_arguments(
            chosen,
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=gradient_accumulation,
            max_steps=ENDLESS,
            seed=seed,
            use_cpu=device.torch_device == "cpu",
        )
        self.trainer = LossKeeper(self.phases, model=network, args=arguments, train_dataset=rows)

    def drive(self, pace: Pace) -> None:
        """Hand the loop to the Trainer."""
        self.trainer.add_callback(PaceCallback(pace, self.phases, self.trainer))
        self.trainer.train()

    def parts(self) -> dict[str, Any]:
        """Weights, buffers, and what the optimizer keeps."""
        return {**super().parts(), "optimizer_state": state_of(self.trainer.optimizer)}

    def outcome(self) -> dict[str, list[float]]:
        """The loss of each step; the Trainer has divided those of micro-batches, so that they add up."""
        return {"losses": [float(sum(losses)) for losses in self.trainer.steps]}

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read from the Trainer and its model."""
        trainer = self.trainer
        return asked_and_in_force(
            self.chosen, self.network, trainer.model_wrapped, trainer.optimizer, trainer.accelerator
        )


class LossKeeper(Trainer):
    """Keeps the losses of a step's micro-batches, to be looked at when the step is over, and tells its phases."""

    def __init__(self, phases: Phases, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.losses: list[Any] = []
        self.steps: deque[list[Any]] = deque(maxlen=OUTCOME_STEPS)
        self._phases = phases
        self._backward = self.accelerator.backward
        self.accelerator.backward = self.backward

    def get_batch_samples(self, *arguments: Any, **keywords: Any) -> Any:
        """Fetch a step's micro-batches."""
        with self._phases.span("data_wait"):
            return super().get_batch_samples(*arguments, **keywords)

    def compute_loss(self, *arguments: Any, **keywords: Any) -> Any:
        """Run the model forward."""
        with self._phases.span("forward"):
            return super().compute_loss(*arguments, **keywords)

    def backward(self, *arguments: Any, **keywords: Any) -> None:
        """Run it backward."""
        with self._phases.span("backward"):
            self._backward(*arguments, **keywords)

    def training_step(self, *arguments: Any, **keywords: Any) -> Any:
        """Train on one micro-batch."""
        loss = super().training_step(*arguments, **keywords)
        self.losses.append(loss)
        return loss


class PaceCallback(TrainerCallback):
    """Waits for a token between two updates; so the next batch is fetched inside the step that uses it."""

    def __init__(self, pace: Pace, phases: Phases, trainer: LossKeeper) -> None:
        self._pace = pace
        self._phases = phases
        self._trainer = trainer
        self._optimizing: AbstractContextManager[None] = UNTIMED

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Wait for the first token."""
        self._pace.begin()

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        """The optimizer is about to step."""
        self._optimizing = self._phases.span("optimizer")
        self._optimizing.__enter__()

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:
        """The optimizer has stepped."""
        self._optimizing.__exit__(None, None, None)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Report the step that ended, then wait for the next token."""
        losses, self._trainer.losses = self._trainer.losses, []
        self._trainer.steps.append(losses)
        self._pace.end(losses)
        self._pace.begin()
