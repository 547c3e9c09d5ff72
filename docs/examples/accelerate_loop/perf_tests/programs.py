"""The loop as a program that Perfgate can step."""

from rill import RillConfig
from rill.training import Loop

from perfgate import Program


class Training(Program):
    def __init__(self, device, batch_size, **sizes):
        self.loop = Loop(RillConfig(**sizes), batch_size, cpu=device.torch_device == "cpu")
        self.network = self.loop.model
        self.samples = batch_size * self.loop.accumulation
        self.step = self.loop.step
