"""The tagger as a program that Perfgate can step."""

import torch
from tagger import Tagger, batches, train_step

from perfgate import Program


class Training(Program):
    def __init__(self, device, batch_size, width=128):
        self.device, self.samples = device.torch_device, batch_size
        self.network = Tagger(width=width).to(self.device)
        self.optimizer = torch.optim.AdamW(self.network.parameters())
        self.batches = batches(batch_size)

    def step(self):
        sentences, tags = next(self.batches)
        return train_step(self.network, self.optimizer, sentences.to(self.device), tags.to(self.device))
