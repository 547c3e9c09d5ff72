"""Training through ``transformers.Trainer``, which owns its loop and is paced in a callback."""

from collections import deque
from contextlib import AbstractContextManager
from typing import Any

from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, Trainer, TrainerCallback, TrainingArguments

from perfgate.actor import versions
from perfgate.actor.data.loading import loading_in_force
from perfgate.actor.devices.base import Device
from perfgate.actor.pace import Pace
from perfgate.actor.phases import UNTIMED, Phases
from perfgate.actor.programs.base import OUTCOME_STEPS, Program
from perfgate.actor.request import Request, TrainingSettings
from perfgate.actor.techniques.optimizers import built_here, state_of
from perfgate.actor.techniques.readback import asked_and_in_force
from perfgate.actor.techniques.training_parts import TrainingParts
from perfgate.actor.techniques.training_settings import keep_tf32, training_arguments
from perfgate.shared.settings.common import GRAPHED

ENDLESS = 1_000_000


class TrainerLoop(Program):
    """A step is one update of the weights: fetching its micro-batches, forward, backward, clipping and optimizer."""

    dry_run = "perfgate.actor.dry_run.programs.training:DryTraining"

    def __init__(self, device: Device, **params: Any) -> None:
        self.phases: Phases = Phases()
        request = Request.of(TrainingSettings, params)
        parts = TrainingParts.build(request, device)
        self.chosen = chosen = parts.chosen
        self.network, self.source = parts.network, parts.source
        self.is_padded = bool(parts.source.collator or chosen.padded)
        self.ranks, self.samples, self.tokens = chosen.ranks, chosen.samples, self.source.tokens
        trainer_class, arguments_class = self.classes()
        arguments = training_arguments(
            chosen,
            arguments_class,
            per_device_train_batch_size=chosen.batch_size,
            gradient_accumulation_steps=chosen.gradient_accumulation,
            max_steps=ENDLESS,
            seed=request.seed,
            use_cpu=device.torch_device == "cpu",
        )
        own = built_here(chosen.optimizer, arguments.learning_rate)
        if own:
            versions.takes(Trainer, "optimizer_cls_and_kwargs", f"optimizer={chosen.optimizer!r}")
        self.trainer = trainer_class(
            self.phases,
            model=self.network,
            args=arguments,
            train_dataset=self.source.rows,
            data_collator=self.source.collator,
            # Only if it is needed, because Seq2SeqTrainer has no such argument.
            **({"optimizer_cls_and_kwargs": own} if own else {}),
        )
        keep_tf32(chosen, device.torch_device)
        # TrainingArguments has no name for it.
        self.trainer.accelerator.state.dynamo_plugin.use_regional_compilation = chosen.compile == "regional"

    def classes(self) -> tuple[Any, Any]:
        """The class of the Trainer and the class of its arguments."""
        return LossKeeper, TrainingArguments

    def drive(self, pace: Pace) -> None:
        """Let the Trainer run its loop."""
        self.trainer.in_graphs = self.chosen.compile in GRAPHED
        self.trainer.steps = deque(maxlen=OUTCOME_STEPS if self.keeps_outcome else 0)
        self.trainer.add_callback(PaceCallback(pace, self.phases, self.trainer, self.tokens if self.is_padded else 0))
        self.trainer.train()

    def parts(self) -> dict[str, Any]:
        """Weights, buffers, and the optimizer's state."""
        return {**super().parts(), "optimizer_state": state_of(self.trainer.optimizer)}

    def outcome(self) -> dict[str, list[float]]:
        """The loss of each step; the Trainer has already divided the micro-batches' losses, so they add up."""
        return {"losses": [float(sum(losses)) for losses in self.trainer.steps]}

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings from the Trainer and its model."""
        trainer = self.trainer
        asked, found = asked_and_in_force(
            self.chosen, self.network, trainer.model_wrapped, trainer.optimizer, trainer.accelerator
        )
        found["empty_cache_steps"] = getattr(trainer.args, "torch_empty_cache_steps", None) or 0
        found["mask"] = trainer.mask
        loader = trainer.callback_handler.train_dataloader  # exists from the first step on
        return asked, found | (loading_in_force(loader) if loader else {})


class Seq2SeqLoop(TrainerLoop):
    """The same with ``Seq2SeqTrainer``, as in https://huggingface.co/docs/transformers/tasks/translation."""

    def classes(self) -> tuple[Any, Any]:
        """The class of the Trainer and the class of its arguments."""
        return Seq2SeqLossKeeper, Seq2SeqTrainingArguments


class LossKeeper(Trainer):
    """Keeps the losses of a step's micro-batches for a check at the step's end, and marks its phases.

    Attributes:
        losses: the losses of the present step, one for each micro-batch.
        steps: the losses of the last steps, if requested.
        places: the number of tokens in the batches of the present step, including padding.
        mask: whether the latest batch had a mask.
        in_graphs: whether a loss may be in the memory of a CUDA graph, which the next step overwrites.
    """

    def __init__(self, phases: Phases, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.losses: list[Any] = []
        self.in_graphs = False
        self.places = 0
        self.mask = ""
        self.steps: deque[list[Any]] = deque(maxlen=0)
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
        """Run the model backward."""
        with self._phases.span("backward"):
            self._backward(*arguments, **keywords)

    def training_step(self, model: Any, inputs: Any, *arguments: Any, **keywords: Any) -> Any:
        """Train on one micro-batch."""
        self.places += inputs["input_ids"].numel() if "input_ids" in inputs else 0
        self.mask = "given" if "attention_mask" in inputs else "none"
        loss = super().training_step(model, inputs, *arguments, **keywords)
        self.losses.append(loss.detach().clone() if self.steps.maxlen and self.in_graphs else loss)
        return loss


class Seq2SeqLossKeeper(LossKeeper, Seq2SeqTrainer):
    """``Seq2SeqTrainer`` that keeps losses in the same way."""


class PaceCallback(TrainerCallback):
    """Waits for its turn between two updates, so that the next batch is fetched inside the step that uses it.

    Args:
        pace: the pace of the stage.
        phases: the phases, for marking the optimizer.
        trainer: the Trainer that calls it.
        tokens: the real tokens of a step if padding is reported, else 0.
    """

    def __init__(self, pace: Pace, phases: Phases, trainer: Any, tokens: int = 0) -> None:
        self._pace = pace
        self._tokens = tokens
        self._phases = phases
        self._trainer = trainer
        self._optimizing: AbstractContextManager[None] = UNTIMED

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Wait for the first turn."""
        self._pace.begin()

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:
        """Mark the beginning of the optimizer's step."""
        self._optimizing = self._phases.span("optimizer")
        self._optimizing.__enter__()

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:
        """Mark the end of the optimizer's step."""
        self._optimizing.__exit__(None, None, None)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Report the step that ended, then wait for the next turn."""
        losses, self._trainer.losses = self._trainer.losses, []
        self._trainer.steps.append(losses)
        places, self._trainer.places = self._trainer.places, 0
        self._pace.end(losses, {"padded_share": 1 - self._tokens / places} if self._tokens else None)
        self._pace.begin()
