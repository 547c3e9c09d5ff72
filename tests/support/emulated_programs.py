"""Programs on a device with memory of its own. The file ``fault`` names what a step does beside its work."""

from pathlib import Path

import torch

from perfgate.actor.programs.base import Program


class Stack(Program):
    """Two linear layers and a backward pass."""

    def __init__(self, device):
        self.where = device.torch_device
        self.model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64))
        self.model.to(self.where)
        self.fault = Path("fault").read_text() if Path("fault").exists() else ""
        self.kept = []

    def step(self):
        loss = self.model(torch.ones(8, 64, device=self.where)).sum()
        loss.backward()
        self.model.zero_grad()
        if self.fault == "kernel":
            loss = loss + 1
        if self.fault == "sync":
            loss.item()
        if self.fault == "allocation":
            self.kept.append(torch.empty(32 << 20, dtype=torch.uint8, device=self.where))
        return loss.detach()


class Large(Program):
    """A step that asks for a number of GiB at once."""

    def __init__(self, device, gibibytes):
        self.where = device.torch_device
        self.bytes = gibibytes << 30

    def step(self):
        return torch.empty(self.bytes, dtype=torch.uint8, device=self.where)[:1].float()
