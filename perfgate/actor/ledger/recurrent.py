"""Recurrent translation on fake tensors.

Gated recurrent units run word by word, as they do on the CPU; on a GPU cuDNN runs those of the encoder as one operator,
whose memory this does not know.
"""

from typing import Any

import torch

from perfgate.actor.ledger.known import exact_modes
from perfgate.actor.ledger.stand import Stand
from perfgate.actor.ledger.training import DryTraining
from perfgate.actor.programs.loading import step_batches
from perfgate.actor.programs.recurrent import (
    EQUAL,
    LEARNING_RATE,
    Translator,
    recurrent_prompts,
    recurrent_source,
    train_on,
)


class DryRecurrentTraining(DryTraining):
    """One update of the weights, of which the optimizer's state is there already."""

    def __init__(
        self,
        stand: Stand,
        vocabulary: int,
        width: int,
        seed: int,
        batch_size: int,
        sequence_length: int,
        data: Any = None,
    ) -> None:
        self.stand = stand
        self.network = Translator(vocabulary, width).train()
        stand.tracker.watch(self.network)
        options = stand.rules.optimizer_options(torch.optim.Adam, {"lr": LEARNING_RATE})
        self.optimizer = torch.optim.Adam(self.network.parameters(), **options)
        with exact_modes():
            source = recurrent_source(vocabulary, batch_size, sequence_length, seed, data)
            rows = source.rows
            real = step_batches(EQUAL, source, batch_size, 1)[0] if source.collator else rows[:batch_size]
        self.batch = {name: stand.adopt(real[name]) for name in ("input_ids", "labels")}
        self._mark_gradients()
        self.make_state()

    def step(self) -> None:
        """As the real one, with the batch at hand."""
        train_on(self.network, self.optimizer, self.batch)


class DryRecurrentGeneration:
    """The translation of one batch."""

    def __init__(
        self,
        stand: Stand,
        vocabulary: int,
        width: int,
        seed: int,
        batch_size: int,
        prompt_length: int,
        new_tokens: int,
        beams: int = 1,
        prompts: Any = None,
    ) -> None:
        self.new_tokens, self.beams = new_tokens, beams
        self.network = Translator(vocabulary, width).eval()
        stand.tracker.watch(self.network)
        with exact_modes():
            real = recurrent_prompts(vocabulary, batch_size, prompt_length, seed, prompts)
        self.input_ids = stand.adopt(real)

    def step(self) -> None:
        """Translate."""
        # In inference mode operators that are made of others would arrive whole.
        with torch.no_grad():
            self.network.translate(self.input_ids, self.new_tokens, self.beams)
