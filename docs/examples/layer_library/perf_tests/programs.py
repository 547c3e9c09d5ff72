"""A layer as a program: forward and backward on random numbers."""

import tern
import torch
from torch import nn

from perfgate import Program


class Layer(Program):
    def __init__(self, device, layer, batch_size, length, width):
        self.network = nn.ModuleDict({layer: getattr(tern, layer)(width)}).to(device.torch_device)
        self.layer = self.network[layer]  # by its name, which a failing case tells
        self.hidden = torch.randn(batch_size, length, width, device=device.torch_device, requires_grad=True)
        self.samples, self.tokens = batch_size, batch_size * length

    def step(self):
        self.network.zero_grad()
        self.hidden.grad = None
        found = self.layer(self.hidden).sum()
        found.backward()
        return found.detach()
