"""Programs whose control flow waits for values of the device."""

import torch

from perfgate.actor.programs.base import Program


class Asks(Program):
    """A step that reads values: a known one, and others that only arithmetic gives."""

    def __init__(self, device):
        self.where = device.torch_device

    def step(self):
        drawn = torch.rand(8, device=self.where)
        if torch.isfinite(drawn).all():
            torch.full((3,), 7, device=self.where).tolist()
        for _ in range(2):
            drawn.argmax().item()
        return drawn.sum()


class Waits(Asks):
    """A step that repeats until a value arrives."""

    def step(self):
        drawn = torch.rand(8, device=self.where)
        while not (drawn > 0).any():
            drawn = drawn + 1
        return drawn.sum()
