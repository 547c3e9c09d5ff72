"""One forward pass over one batch, without gradients."""

from typing import Any

import torch

from perfgate.actor.data.inputs import mask_of, random_batch, sentence_batch
from perfgate.actor.devices.base import Device
from perfgate.actor.local_models import build_tokenizer
from perfgate.actor.programs.base import OUTCOME_VALUES, Program
from perfgate.actor.request import ForwardSettings, Request
from perfgate.actor.techniques.kernels import kernel_in_force, put_kernel
from perfgate.actor.techniques.models import build_inference
from perfgate.actor.techniques.readback import asked_and_in_force


class Forward(Program):
    """A step is one forward pass; for embeddings with mean pooling and normalization after it."""

    dry_run = "perfgate.actor.dry_run.programs.inference:DryForward"

    def __init__(self, device: Device, **params: Any) -> None:
        request = Request.of(ForwardSettings, params)
        self.embeds = request.task == "embedding"
        self.chosen = chosen = request.chosen
        self.network = build_inference(request, device.torch_device)
        put_kernel(self.network, chosen.kernels)
        self.batch = forward_batch(request, self.network.config)
        if "pixel_values" in self.batch:
            self.batch["pixel_values"] = self.batch["pixel_values"].to(self.network.dtype)
        self.batch = {name: values.to(device.torch_device) for name, values in self.batch.items()}
        self.output: Any = None
        self.samples = chosen.batch_size
        self.tokens = real_tokens(self.batch)
        self.call = self.network if chosen.compile == "off" else torch.compile(self.network, mode=chosen.compile)

    def outcome(self) -> dict[str, list[float]]:
        """The beginning of the logits or embeddings."""
        return {"logits": [] if self.output is None else self.output.flatten()[:OUTCOME_VALUES].float().tolist()}

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings from the model."""
        asked, found = asked_and_in_force(self.chosen, self.network, self.call)
        return asked, found | {
            "kernels": kernel_in_force(self.network, self.chosen.kernels),
            "mask": mask_of(self.batch),
        }

    def step(self) -> Any:
        """Return logits, or sentence embeddings of length 1."""
        with torch.inference_mode():
            output = self.call(**self.batch)
            found = embed(output.last_hidden_state, self.batch.get("attention_mask")) if self.embeds else output.logits
            self.output = found if self.keeps_outcome else None
            return found


def forward_batch(request: Request, config: Any) -> dict[str, Any]:
    """The input of a forward pass, on the host: sentences, random tokens, or images."""
    chosen = request.chosen
    if not request.text:
        return random_batch(config, request.task, chosen, request.seed)
    return sentence_batch(build_tokenizer(request.model), request.text, chosen.batch_size, chosen.sequence_length)


def real_tokens(batch: dict[str, Any]) -> int:
    """The number of tokens in a batch without its padding; 0 for inputs other than text."""
    if "attention_mask" in batch:
        return int(batch["attention_mask"].sum())
    return batch["input_ids"].numel() if "input_ids" in batch else 0


def embed(hidden: Any, mask: Any) -> Any:
    """Average the real tokens' states and scale to length 1, as sentence-transformers does for MiniLM."""
    if mask is None:
        return torch.nn.functional.normalize(hidden.mean(1), dim=-1)
    mask = mask.unsqueeze(-1)
    mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
    return torch.nn.functional.normalize(mean, dim=-1)
