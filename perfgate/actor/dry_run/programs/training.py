"""A training step as ``Trainer`` and a plain ``accelerate`` loop take it, on fake tensors.

``Trainer`` itself does not run on fake tensors, so the step is built here from the same settings; a test compares its
operator calls with the real Trainer's.
"""

import inspect
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from accelerate.utils.operations import convert_outputs_to_fp32
from transformers import Trainer

from perfgate.actor import versions
from perfgate.actor.data.inputs import training_layout
from perfgate.actor.data.loading import is_collated, step_batches, training_source
from perfgate.actor.dry_run.context import DryContext, NoDryRun, refuse_compiling
from perfgate.actor.dry_run.known_values import exact_modes
from perfgate.actor.request import Request, TrainingSettings
from perfgate.actor.techniques.optimizers import assembled
from perfgate.actor.techniques.training_parts import make_of_optimizer, network_to_train, plain_optimizer
from perfgate.actor.techniques.training_settings import enable_checkpointing, training_arguments
from perfgate.shared.settings.training import NOT_DRY_OPTIMIZERS

PREFETCHED = 1  # accelerate's loader holds the next batch on the host while one is processed
AMP_DTYPES = {"bf16-amp": torch.bfloat16, "fp16-amp": torch.float16}


def refuse_foreign(chosen: TrainingSettings) -> None:
    """Refuse a step that runs another library's kernels, or several processes.

    Raises:
        NoDryRun: the message names the setting.
    """
    if chosen.optimizer in NOT_DRY_OPTIMIZERS:
        raise NoDryRun(f"optimizer={chosen.optimizer!r} steps in code that fake tensors do not run")
    if chosen.quantization != "off":
        raise NoDryRun(f"quantization={chosen.quantization!r} multiplies by kernels that fake tensors do not run")
    if chosen.liger:
        raise NoDryRun("liger=True runs Triton kernels, which fake tensors do not run")
    if chosen.precision == "fp8-amp":
        raise NoDryRun("torchao chooses the layers that compute in 8 bits")
    if chosen.ranks > 1:
        raise NoDryRun("memory and messages that several ranks share are not accounted for")


class DryTraining:
    """One update of the weights through ``Trainer``, with an optimizer whose state already exists."""

    def __init__(self, context: DryContext, **params: Any) -> None:
        self.context = context
        request = Request.of(TrainingSettings, params)
        self.chosen = chosen = request.chosen
        refuse_compiling(chosen)
        refuse_foreign(chosen)
        network = network_to_train(request, load=False, offloading=partial(context.rules.offloading, context))
        self.network = network.train()
        self.core = network.get_base_model() if chosen.lora_rank else network
        context.tracker.watch(network)
        self.prepare()
        if chosen.activation_checkpointing:
            self.checkpoint()
        if chosen.precision in AMP_DTYPES:
            autocast = context.rules.autocast(AMP_DTYPES[chosen.precision])
            network.forward = convert_outputs_to_fp32(autocast(network.forward))
        self.optimizer = self.make_optimizer()
        self.batches = self.make_batches(request)
        self.accumulation = chosen.gradient_accumulation
        self.loss = torch.zeros(())
        self.scale = torch.ones(()) if chosen.precision == "fp16-amp" else None
        self._mark_gradients()
        self.make_state()

    def make_batches(self, request: Request) -> list[dict[str, Any]]:
        """The micro-batches of a step, and the next batch too if the loader would hold it in the same memory."""
        context, chosen = self.context, request.chosen
        if is_collated(request) or chosen.padded:
            with exact_modes():
                source = training_source(request, self.core.config)
                real = step_batches(chosen, source)
            self.padded_tokens = sum(batch["input_ids"].numel() for batch in real) - source.tokens
            # The step reads the whole data set, so there is no next batch to hold.
            return [context.adopt_all(batch) for batch in real]
        # Rows of text have the same layout as random rows.
        layout = training_layout(self.core.config, request.task, chosen.sequence_length)
        if chosen.mask == "none":
            layout.pop("attention_mask", None)
        ahead = 0 if context.rules.has_host else PREFETCHED
        self.held = [
            {name: context.input(chosen.batch_size, *column) for name, column in layout.items()}
            for _ in range(self.fetched(chosen.gradient_accumulation) + ahead)
        ]
        return [self.held[number % len(self.held)] for number in range(chosen.gradient_accumulation)]

    def checkpoint(self) -> None:
        """Make the chosen layers recompute their activations; the tensors that they keep for it may be on the host."""
        rules, chosen = self.context.rules, self.chosen.activation_checkpointing
        layers = True if chosen == "offload" else chosen
        enable_checkpointing(self.network, layers, context_fn=lambda: (nullcontext(), rules.recomputing()))
        if chosen != "offload" or not rules.has_host:
            return
        for module in self.network.modules():
            if hasattr(module, "_gradient_checkpointing_func"):
                module._gradient_checkpointing_func = self.on_host(module._gradient_checkpointing_func)

    def on_host(self, checkpoint: Any) -> Any:
        """Like ``torch.autograd.graph.save_on_cpu``: a copy without memory on the device, and a copy back."""

        def copied(tensor: Any) -> Any:
            copy = tensor.clone()
            self.context.tracker.storages.forget(copy)
            return copy

        def call(*arguments: Any, **keywords: Any) -> Any:
            with torch.autograd.graph.saved_tensors_hooks(copied, torch.clone):
                return checkpoint(*arguments, **keywords)

        return call

    def prepare(self) -> None:
        """Turn off the cache of keys and values, as the Trainer does in versions that can be told to."""
        if versions.trainer_decides_on_cache() and self.chosen.use_cache == "default":
            self.core.config.use_cache = False

    def fetched(self, accumulation: int) -> int:
        """Fetch all micro-batches of a step before the first one, as the Trainer does."""
        return accumulation

    def keep(self, loss: Any) -> None:
        """Add up the losses, as the Trainer does."""
        self.loss += loss

    def make_state(self) -> None:
        """Make the optimizer create its lasting state, as the first step of a real run does.

        If possible it works on lists: the state is the same, and a hundred times fewer operators run.
        """
        ways = [group.get("foreach") for group in self.optimizer.param_groups]
        for group in self.optimizer.param_groups:
            group["foreach"] = True if "foreach" in group and not group.get("fused") else group.get("foreach")
        for parameter in self.network.parameters():
            if parameter.requires_grad:
                parameter.grad = torch.empty_like(parameter)
        self.optimizer.step()
        for group, way in zip(self.optimizer.param_groups, ways, strict=True):
            group["foreach"] = way
        self.name_state()
        self.network.zero_grad()

    @property
    def on_any_device(self) -> TrainingSettings:
        """The settings without two that transformers refuses without a GPU; neither concerns the optimizer."""
        return replace(self.chosen, precision="fp32", empty_cache_steps=0)

    def make_optimizer(self) -> Any:
        """The optimizer that the Trainer would make, over the same groups of parameters."""
        arguments = training_arguments(self.on_any_device, use_cpu=True)
        make, options = make_of_optimizer(self.chosen, arguments, self.network)
        decaying = set(Trainer.get_decay_parameter_names(None, self.network))  # this method needs nothing of a Trainer
        named = [(name, p) for name, p in self.network.named_parameters() if p.requires_grad]
        groups = [
            {"params": [p for name, p in named if name in decaying], "weight_decay": arguments.weight_decay},
            {"params": [p for name, p in named if name not in decaying], "weight_decay": 0.0},
        ]
        return assembled((make, self.context.rules.optimizer_options(make, options)), self.network, groups)

    def step(self) -> None:
        """Run forward and backward for each micro-batch, then clip, step the optimizer, and delete the gradients."""
        items = self.count_items()
        for batch in self.batches:
            self.keep(self.train_on(batch, items))
        tracker = self.context.tracker
        with tracker.within("clipping"):
            self.clip()
        with tracker.within("optimizer"):
            self.optimizer.step()
        self.network.zero_grad()

    def name_state(self) -> None:
        """Mark the optimizer's state among all living tensors."""
        tracker = self.context.tracker
        for parameter, state in self.optimizer.state.items():
            tensors = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
            owner = tracker.owners.get(id(parameter), "")
            tracker.storages.name(tensors.values(), "optimizer_state", owner)
            for tensor in self.context.rules.elsewhere(tensors, self.optimizer):
                tracker.storages.forget(tensor)

    def train_on(self, batch: dict[str, Any], items: Any) -> Any:
        """Process one micro-batch; returns its loss."""
        more = {} if items is None else {"num_items_in_batch": items}
        loss = self.network(**batch, **more).loss
        self.backward(self.scaled(loss, items))
        return loss.detach()

    def scaled(self, loss: Any, items: Any) -> Any:
        """The loss as the Trainer scales it: by items or micro-batches, processes, and accelerate's own steps.

        Some of these factors are 1 here, and cost an operator all the same.
        """
        if items is None:
            loss = loss / self.accumulation
        else:
            loss *= 1
        return loss / 1

    def backward(self, loss: Any) -> None:
        """Compute the gradients, with the loss scaled if the precision needs it."""
        (loss if self.scale is None else loss * self.scale).backward()

    def count_items(self) -> Any:
        """The number of labels in the whole step, if the model scales its own loss by it; else ``None``."""
        losses = versions.find("LOSS_MAPPING")
        if losses is None:  # an older Trainer, which divides only by micro-batches
            return None
        core = self.core
        parameters = inspect.signature(core.forward).parameters.values()
        keywords = any(parameter.kind == inspect.Parameter.VAR_KEYWORD for parameter in parameters)
        if not getattr(core, "accepts_loss_kwargs", keywords):
            return None
        shifts = losses.get(getattr(core, "loss_type", None)) is versions.find("ForCausalLMLoss")
        shifts = shifts and not core.config.is_encoder_decoder
        labels = [batch["labels"][..., 1:] if shifts else batch["labels"] for batch in self.batches]
        return sum(part.ne(-100).sum() for part in labels) / 1

    def clip(self) -> None:
        """Scale the gradients to a norm of at most 1; under fp16 also divide them by the loss's scale."""
        parameters = [p for p in self.network.parameters() if p.grad is not None]
        if self.scale is not None:
            gradients = [p.grad for p in parameters]
            torch._amp_foreach_non_finite_check_and_unscale_(gradients, torch.zeros(()), self.scale.reciprocal())
        # On lists, as with real tensors; torch would process fake tensors one by one.
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)

    def _mark_gradients(self) -> None:
        tracker = self.context.tracker
        for parameter in self.network.parameters():
            if parameter.requires_grad:
                owner = tracker.owners.get(id(parameter), "")
                parameter.register_post_accumulate_grad_hook(
                    lambda p, owner=owner: tracker.storages.name([p.grad], "gradients", owner)
                )


class DryAcceleratedLoop(DryTraining):
    """One update of the weights in the plain loop."""

    def make_optimizer(self) -> Any:
        """The optimizer of the plain loop, over all parameters at once."""
        make, options = plain_optimizer(self.on_any_device, self.network)
        options = self.context.rules.optimizer_options(make, options)
        return assembled((make, options), self.network, [p for p in self.network.parameters() if p.requires_grad])

    def prepare(self) -> None:
        """Do nothing: the plain loop uses the model as it is."""

    def fetched(self, accumulation: int) -> int:
        """Fetch one micro-batch after the other, as the plain loop does."""
        del accumulation
        return 1

    def keep(self, loss: Any) -> None:
        """Do nothing: the plain loop adds up no losses."""

    def count_items(self) -> Any:
        """``None``: the plain loop counts only micro-batches."""
        return None

    def scaled(self, loss: Any, items: Any) -> Any:
        """The loss, scaled once, by ``accelerate``."""
        del items
        return loss / self.accumulation
