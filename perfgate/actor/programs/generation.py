"""Generates a fixed number of tokens, and times the first token and the others separately."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from perfgate.actor import versions
from perfgate.actor.data.inputs import generation_inputs, mask_of
from perfgate.actor.data.sentence_pairs import pair_prompts
from perfgate.actor.data.text import prompt_batch
from perfgate.actor.devices.base import Device
from perfgate.actor.local_models import build_tokenizer
from perfgate.actor.marks import Mark, between, mark_of
from perfgate.actor.pace import Pace
from perfgate.actor.programs.base import Program
from perfgate.actor.request import GenerationSettings, Request
from perfgate.actor.techniques.decoding import Prefill, compiled_forward, generate_options
from perfgate.actor.techniques.kernels import kernel_in_force, put_kernel
from perfgate.actor.techniques.models import build_inference
from perfgate.actor.techniques.readback import asked_and_in_force
from perfgate.actor.techniques.speculation import Speculation, drafts_in_force


class Generation(Program):
    """A step is one call of ``generate``; its tokens are the new ones."""

    dry_run = "perfgate.actor.dry_run.programs.inference:DryGeneration"

    def __init__(self, device: Device, **params: Any) -> None:
        request = Request.of(GenerationSettings, params)
        self.chosen = chosen = request.chosen
        self.samples = chosen.batch_size
        self.tokens = chosen.batch_size * chosen.new_tokens
        self.network = build_inference(request, device.torch_device)
        put_kernel(self.network, chosen.kernels)
        self.prefill = Prefill(self.network)
        config, text = self.network.config, request.text
        size = chosen.batch_size, chosen.prompt_length
        if isinstance(text, dict):
            inputs = pair_prompts(text, config.vocab_size, *size)
        elif text:
            inputs = prompt_batch(build_tokenizer(request.model), text, *size)
        else:
            inputs = generation_inputs(config, chosen, request.seed)
        # Real-valued inputs, such as sound, get the precision of the weights; tokens stay whole numbers.
        self.inputs = {
            name: values.to(device.torch_device, self.network.dtype if values.is_floating_point() else None)
            for name, values in inputs.items()
        }
        if chosen.compile != "off":
            self.network.forward = compiled_forward(self.network, chosen.compile)
        self.arrivals = Arrivals(device)
        self.new_tokens = new_tokens = chosen.new_tokens
        self.generated: Any = None
        self.speculation: Speculation | None = None
        self.options: dict[str, Any] = {
            "min_new_tokens": new_tokens,
            "max_new_tokens": new_tokens,
            "do_sample": False,
            **versions.generation_options_for(self.network.generation_config, generate_options(chosen)),
            "pad_token_id": 0,
            "eos_token_id": None,
            "stopping_criteria": StoppingCriteriaList([self.arrivals]),
        }
        if chosen.assistant_layers or chosen.prompt_lookup_tokens:
            self.speculation = Speculation(self.network, chosen.assistant_layers, chosen.prompt_lookup_tokens)
            self.options |= self.speculation.options
        else:
            # The model that writes drafts would get it too.
            self.options["logits_processor"] = LogitsProcessorList([LastLogits(self.arrivals)])

    @property
    def prompt_length(self) -> int:
        """The tokens of a prompt, with padding; 0 for speech models."""
        return int(self.inputs["input_ids"].shape[1]) if "input_ids" in self.inputs else 0

    def outcome(self) -> dict[str, list[float]]:
        """The new tokens of the last step, and the logits of the first sample's first new token."""
        if self.generated is None:
            return {}
        tokens = self.generated[:, -self.new_tokens :].flatten().tolist()
        if self.speculation is not None:
            return {"tokens": tokens}
        return {"tokens": tokens, "logits": without_suppressed(self.arrivals.first[0]).float().tolist()}

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings from the model, from its calls, and from the drafts that it was given."""
        asked, found = asked_and_in_force(self.chosen, self.network, self.network)
        found |= self.prefill.in_force(self.prompt_length)
        found |= {"beams": (self.speculation or self.arrivals).rows // self.samples}
        found |= {"kernels": kernel_in_force(self.network, self.chosen.kernels), "mask": mask_of(self.inputs)}
        return asked, found | drafts_in_force(self.speculation, self.prompt_length)

    def drive(self, pace: Pace) -> None:
        """On each turn call ``generate`` once, and report when each generated token arrived."""
        while True:
            pace.begin()
            self.restart()
            if self.keeps_outcome:
                self.prefill.watch()
            with torch.inference_mode():
                tokens = self.network.generate(**self.inputs, **self.options)
            self.generated, tokens = tokens if self.keeps_outcome else None, None
            pace.end(self.logits, self.metrics())

    def restart(self) -> None:
        """Reset the counts and wait for the first token again."""
        self.arrivals.restart(self.keeps_outcome)
        if self.speculation is not None:
            self.speculation.restart()

    def logits(self) -> Any:
        """The latest token's logits, which must be finite."""
        return self.arrivals.allowed() if self.speculation is None else self.speculation.logits

    def metrics(self) -> Callable[[], dict[str, float]]:
        """The times of tokens, the number of passes, and the share of accepted drafts, once the device is done."""
        drafts = self.speculation.metrics(self.prompt_length, self.new_tokens) if self.speculation else {}
        return partial(told, self.arrivals.device, self.arrivals.passes, drafts)


Pass = tuple[int, Mark]  # the length of the texts at the end of a pass of the model, and the mark of that moment


class Arrivals(StoppingCriteria):
    """Marks in the device's work at the end of each pass, when its new tokens exist; it never stops the generation."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.logits: Any = None
        self.rows = 0
        self.restart()

    def restart(self, keeps_first: bool = False) -> None:
        """Wait for the first token again; its logits are kept if requested."""
        self.first: Any = None
        self.keeps_first = keeps_first
        self.passes = [self._mark(0)]

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Mark the arrival of a token, or of several with an accepted draft.

        Waiting for it would stop the host from going on.
        """
        del scores
        self.passes.append(self._mark(input_ids.shape[1]))
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)

    def _mark(self, length: int) -> Pass:
        """Mark the end of a pass, after which the texts have this length."""
        return length, mark_of(self.device)

    def allowed(self) -> Any:
        """The latest token's logits, except suppressed tokens, which are minus infinity on purpose."""
        return without_suppressed(self.logits)


def told(device: Device, passes: Sequence[Pass], drafts: Mapping[str, float]) -> dict[str, float]:
    """The seconds to the first pass's tokens, the seconds for each later token if any, and the number of passes.

    Args:
        device: the device, which has reached all marks.
        passes: the beginning, and the end of each pass.
        drafts: further metrics to add.
    """
    (_, begin), (shortest, first), (longest, last) = passes[0], passes[1], passes[-1]
    result = {"forward_calls": float(len(passes) - 1)} | between(device, "time_to_first_token_s", begin, first)
    if len(passes) > 2:
        result |= between(device, "time_per_output_token_s", first, last, longest - shortest)
    return {**result, **drafts}


def without_suppressed(logits: Any) -> Any:
    """The logits that are not minus infinity."""
    return logits[~logits.isneginf()]


class LastLogits(LogitsProcessor):
    """Keeps the logits of the latest token; values that are not finite spread to it through the cache."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Return the logits unchanged."""
        del input_ids
        self._arrivals.logits = scores
        self._arrivals.rows = scores.shape[0]
        if self._arrivals.keeps_first and self._arrivals.first is None:
            self._arrivals.first = scores
        return scores
