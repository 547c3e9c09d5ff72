"""One forward pass over one batch, without gradients."""

from typing import Any

import torch

from perfgate.actor.devices import Device
from perfgate.actor.programs.base import Program
from perfgate.actor.programs.inputs import random_batch, sentence_batch
from perfgate.actor.programs.models import build_model, build_tokenizer


class Forward(Program):
    """A step is one forward pass; for embeddings with mean pooling and normalization after it."""

    def __init__(
        self,
        device: Device,
        model: dict[str, Any],
        task: str,
        seed: int,
        batch_size: int,
        sequence_length: int,
        sentences: list[str] | None = None,
    ) -> None:
        del device
        self.embeds = task == "embedding"
        self.network = build_model(model, seed).eval()
        if sentences:
            self.batch = sentence_batch(build_tokenizer(model), sentences, batch_size, sequence_length)
        else:
            self.batch = random_batch(self.network.config.vocab_size, batch_size, sequence_length, seed)
        self.samples = batch_size
        self.tokens = int(self.batch["attention_mask"].sum())

    def step(self) -> Any:
        """Return logits, or sentence embeddings of length 1."""
        with torch.inference_mode():
            output = self.network(**self.batch)
            return self.embed(output.last_hidden_state) if self.embeds else output.logits

    def embed(self, hidden: Any) -> Any:
        """Average the real tokens' states and scale to length 1, as sentence-transformers does for MiniLM."""
        mask = self.batch["attention_mask"].unsqueeze(-1)
        mean = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1)
        return torch.nn.functional.normalize(mean, dim=-1)
