"""Recurrent translation: an encoder and a decoder of gated recurrent units, with attention between them.

The network of https://docs.pytorch.org/tutorials/intermediate/seq2seq_translation_tutorial.html, which reads and writes
one word after the other, in training too.
"""

from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, default_collate

from perfgate.actor.devices import Device
from perfgate.actor.programs.base import Program
from perfgate.actor.programs.inputs import ragged_prompts
from perfgate.actor.programs.loading import LoadingSettings, endless, training_source
from perfgate.actor.programs.optimizers import state_of
from perfgate.actor.programs.pairs import IGNORED, PADDING, pair_prompts

DROPOUT = 0.1
LEARNING_RATE = 0.001
TASK = "seq2seq-lm"
EQUAL = LoadingSettings()


class Attention(nn.Module):
    """Additive attention over what the encoder read (https://arxiv.org/abs/1409.0473)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.of_query = nn.Linear(width, width)
        self.of_keys = nn.Linear(width, width)
        self.score = nn.Linear(width, 1)

    def forward(self, query: Any, keys: Any) -> Any:
        """The mean of the keys, weighted by how well each fits the query."""
        scores = self.score(torch.tanh(self.of_query(query) + self.of_keys(keys)))
        weights = functional.softmax(scores.squeeze(2).unsqueeze(1), dim=-1)
        return torch.bmm(weights, keys)


class Encoder(nn.Module):
    """Reads a sentence."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(DROPOUT)
        self.gru = nn.GRU(width, width, batch_first=True)

    def forward(self, tokens: Any) -> tuple[Any, Any]:
        """What was read up to each word, and the last state."""
        keys, state = self.gru(self.dropout(self.embedding(tokens)))
        return keys, state


class Decoder(nn.Module):
    """Writes the next word."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.dropout = nn.Dropout(DROPOUT)
        self.attention = Attention(width)
        self.gru = nn.GRU(2 * width, width, batch_first=True)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, token: Any, state: Any, keys: Any) -> tuple[Any, Any]:
        """Logits of the word after ``token``, and the state after it."""
        context = self.attention(state.permute(1, 0, 2), keys)
        output, state = self.gru(torch.cat((self.dropout(self.embedding(token)), context), dim=2), state)
        return self.out(output), state


class Translator(nn.Module):
    """Both of them."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.encoder = Encoder(vocabulary, width)
        self.decoder = Decoder(vocabulary, width)

    def forward(self, input_ids: Any, labels: Any) -> Any:
        """The loss of a batch; the decoder is told the right word before each (teacher forcing)."""
        keys, state = self.encoder(input_ids)
        start = torch.full_like(labels[:, :1], PADDING)
        tokens = torch.cat([start, labels[:, :-1].clamp(min=PADDING)], dim=1)
        written = []
        for position in range(labels.shape[1]):
            logits, state = self.decoder(tokens[:, position : position + 1], state, keys)
            written.append(logits)
        return functional.cross_entropy(torch.cat(written, dim=1).flatten(0, 1), labels.flatten(), ignore_index=IGNORED)

    def translate(self, input_ids: Any, new_tokens: int, beams: int) -> tuple[Any, Any]:
        """Write a fixed number of words along the likeliest ``beams`` ways; one beam is greedy.

        Returns:
            The words of the best beam, and the scores of all.
        """
        keys, state = self.encoder(input_ids)
        samples, first = input_ids.shape[0], torch.arange(input_ids.shape[0], device=input_ids.device)
        keys, state = keys.repeat_interleave(beams, 0), state.repeat_interleave(beams, 1)
        written = torch.full((samples * beams, 1), PADDING, device=input_ids.device)
        # At the start all beams are the same, so all but one are out.
        scores = torch.full((samples, beams), -1e9, device=input_ids.device)
        scores[:, 0] = 0
        for _ in range(new_tokens):
            logits, state = self.decoder(written[:, -1:], state, keys)
            ways = functional.log_softmax(logits[:, 0], dim=-1).view(samples, beams, -1) + scores[:, :, None]
            scores, best = ways.flatten(1).topk(beams)
            rows = (first[:, None] * beams + best // ways.shape[2]).flatten()
            state = state[:, rows]
            written = torch.cat([written[rows], (best % ways.shape[2]).view(-1, 1)], dim=1)
        return written.view(samples, beams, -1)[:, 0, 1:], scores


class RecurrentTraining(Program):
    """A step is one batch: forward, backward and Adam."""

    dry_run = "perfgate.actor.ledger.recurrent:DryRecurrentTraining"

    def __init__(
        self,
        device: Device,
        vocabulary: int,
        width: int,
        seed: int,
        batch_size: int,
        sequence_length: int,
        data: dict[str, Any] | None = None,
    ) -> None:
        self.device = device
        source = recurrent_source(vocabulary, batch_size, sequence_length, seed, data)
        self.samples, self.tokens = batch_size, source.tokens
        torch.manual_seed(seed)
        self.network = Translator(vocabulary, width).to(device.torch_device).train()
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=LEARNING_RATE)
        rows = source.rows.remove_columns("length") if source.collator else source.rows
        self.loader = DataLoader(
            rows, batch_size=batch_size, shuffle=True, collate_fn=source.collator or default_collate
        )
        self.batches = endless(self.loader)

    def parts(self) -> dict[str, Any]:
        """Weights, buffers, and what the optimizer keeps."""
        return {**super().parts(), "optimizer_state": state_of(self.optimizer)}

    def step(self) -> Any:
        """Train on a batch; returns its loss."""
        batch = next(self.batches)
        batch = {name: batch[name].to(self.device.torch_device) for name in ("input_ids", "labels")}
        return train_on(self.network, self.optimizer, batch)


class RecurrentGeneration(Program):
    """A step translates one batch, into a fixed number of words."""

    dry_run = "perfgate.actor.ledger.recurrent:DryRecurrentGeneration"

    def __init__(
        self,
        device: Device,
        vocabulary: int,
        width: int,
        seed: int,
        batch_size: int,
        prompt_length: int,
        new_tokens: int,
        beams: int = 1,
        prompts: dict[str, Any] | None = None,
    ) -> None:
        self.samples, self.tokens = batch_size, batch_size * new_tokens
        self.new_tokens, self.beams = new_tokens, beams
        torch.manual_seed(seed)
        self.network = Translator(vocabulary, width).to(device.torch_device).eval()
        self.input_ids = recurrent_prompts(vocabulary, batch_size, prompt_length, seed, prompts).to(device.torch_device)
        self.written: Any = None

    def outcome(self) -> dict[str, list[float]]:
        """The words of the last step."""
        return {} if self.written is None else {"tokens": self.written.flatten().tolist()}

    def step(self) -> Any:
        """Translate; returns the beams' scores."""
        with torch.inference_mode():
            written, scores = self.network.translate(self.input_ids, self.new_tokens, self.beams)
        self.written = written if self.keeps_outcome else None
        return scores


def train_on(network: Any, optimizer: Any, batch: dict[str, Any]) -> Any:
    """One update of the weights."""
    optimizer.zero_grad()
    loss = network(batch["input_ids"], batch["labels"])
    loss.backward()
    optimizer.step()
    return loss.detach()


def recurrent_source(vocabulary: int, batch_size: int, length: int, seed: int, data: Any) -> Any:
    """The rows that a transformer would be trained on."""
    config = SimpleNamespace(vocab_size=vocabulary, num_labels=0)
    return training_source(EQUAL, config, {}, TASK, batch_size, length, seed, data)


def recurrent_prompts(vocabulary: int, batch_size: int, length: int, seed: int, prompts: Any) -> Any:
    """Sentences to translate: pairs' first halves, or random tokens."""
    if prompts:
        return pair_prompts(prompts, vocabulary, batch_size, length)["input_ids"]
    return ragged_prompts(vocabulary, batch_size, length, seed)[0]["input_ids"]
