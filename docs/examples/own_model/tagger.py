"""What was there before Perfgate: a model and a training loop in plain torch."""

import torch
from torch import nn


class Tagger(nn.Module):
    """A bidirectional LSTM that gives each word a tag."""

    def __init__(self, words=2000, tags=17, width=128):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, tags)

    def forward(self, sentences):
        """Scores by sentence, word and tag."""
        hidden, _ = self.lstm(self.embedding(sentences))
        return self.head(hidden)


def train_step(model, optimizer, sentences, tags):
    """One update; returns the loss."""
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(sentences).flatten(0, 1), tags.flatten())
    loss.backward()
    optimizer.step()
    return loss.detach()


def batches(size, length=32, words=2000, tags=17, seed=0):
    """Random sentences and tags, for ever."""
    source = torch.Generator().manual_seed(seed)
    while True:
        yield (
            torch.randint(words, (size, length), generator=source),
            torch.randint(tags, (size, length), generator=source),
        )
