"""Translation by a recurrent network: gated units that read and write one word after the other, with attention."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from perfgate.actor.devices.base import Device
from perfgate.actor.programs.base import Program


class Translator(nn.Module):
    """An encoder and a decoder; the decoder attends to the encoder's states."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.embedding = nn.Embedding(vocabulary, width)
        self.reader = nn.GRUCell(width, width)
        self.writer = nn.GRUCell(2 * width, width)
        self.head = nn.Linear(width, vocabulary)

    def forward(self, sources: Any, targets: Any) -> Any:
        """The loss; both inputs have the shape (samples, words). The decoder gets the right word before each one."""
        state = self.embedding(sources[:, 0]).new_zeros(sources.shape[0], self.width)
        read = []
        for word in self.embedding(sources).unbind(1):
            state = self.reader(word, state)
            read.append(state)
        keys = torch.stack(read, dim=1)
        written = []
        for word in self.embedding(targets).unbind(1):
            weights = functional.softmax(torch.bmm(keys, state.unsqueeze(2)), dim=1)
            state = self.writer(torch.cat((word, (weights * keys).sum(dim=1)), dim=1), state)
            written.append(self.head(state))
        return functional.cross_entropy(torch.stack(written[:-1], dim=1).flatten(0, 1), targets[:, 1:].flatten())


class RecurrentTraining(Program):
    """A step is one batch of random sentences: forward, backward and Adam."""

    def __init__(
        self, device: Device, vocabulary: int, width: int, batch_size: int, sequence_length: int, seed: int = 0
    ) -> None:
        torch.manual_seed(seed)
        self.samples, self.tokens = batch_size, batch_size * sequence_length
        self.network = Translator(vocabulary, width).to(device.torch_device).train()
        self.optimizer = torch.optim.Adam(self.network.parameters())
        shape = (2, batch_size, sequence_length)
        self.sources, self.targets = torch.randint(vocabulary, shape).to(device.torch_device)

    def step(self) -> Any:
        """Train on the batch; returns the loss."""
        self.optimizer.zero_grad()
        loss = self.network(self.sources, self.targets)
        loss.backward()
        self.optimizer.step()
        return loss.detach()
