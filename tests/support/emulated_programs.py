"""Programs on a device with its own memory. If the file ``faulty`` exists, each has the faults that it names."""

from collections import OrderedDict
from pathlib import Path

import torch

from perfgate.actor.programs.base import Program


class Middle(torch.nn.Module):
    """Returns its input, and has a fault."""

    def __init__(self, fault):
        super().__init__()
        self.fault = fault if Path("faulty").exists() else ""
        self.kept = []

    def forward(self, hidden):
        if self.fault == "kernel":
            return hidden.sin()
        if self.fault == "item":
            for _ in range(3):
                hidden.sum().item()
        if self.fault == "synchronize":
            for _ in range(3):
                torch.cuda.synchronize()
        if self.fault == "cache":
            self.kept.append(torch.empty(32 << 20, dtype=torch.uint8, device=hidden.device))
        if self.fault == "allocation":
            torch.empty(24, device=hidden.device)
        if self.fault == "segment":
            torch.empty(64 << 20, dtype=torch.uint8, device=hidden.device)
            torch.cuda.empty_cache()
        return hidden


class Stack(Program):
    """Two linear layers with possible faults between them, and a backward pass."""

    def __init__(self, device, faults):
        self.where = device.torch_device
        middle = [(fault, Middle(fault)) for fault in faults]
        layers = [("first", torch.nn.Linear(64, 64)), *middle, ("last", torch.nn.Linear(64, 64))]
        self.model = torch.nn.Sequential(OrderedDict(layers))
        self.model.to(self.where)

    def step(self):
        loss = self.model(torch.ones(8, 64, device=self.where)).sum()
        loss.backward()
        self.model.zero_grad()
        return loss.detach()


class Compiled(Stack):
    """The same without a backward pass and as one compiled program, which ``mode`` may put into a CUDA graph."""

    def __init__(self, device, mode):
        super().__init__(device, [])
        self.run = torch.compile(self.model, mode=mode)
        self.data = torch.ones(8, 64, device=self.where)

    def step(self):
        with torch.no_grad():
            return self.run(self.data).sum()


class Large(Program):
    """A step that asks for a number of GiB at once."""

    def __init__(self, device, gibibytes):
        self.where = device.torch_device
        self.bytes = gibibytes << 30

    def step(self):
        return torch.empty(self.bytes, dtype=torch.uint8, device=self.where)[:1].float()


class Wide(Stack):
    """One layer of a width."""

    def __init__(self, device, width):
        self.where = device.torch_device
        self.model = torch.nn.Sequential(torch.nn.Linear(64, width * 64), torch.nn.ReLU())
        self.model.to(self.where)
