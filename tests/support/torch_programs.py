"""Programs for the engine's tests that allocate a known number of bytes in torch."""

from collections import OrderedDict
from pathlib import Path

import torch

from perfgate.actor.dry_run.context import refuse_compiled
from perfgate.actor.programs.base import Program


class Allocate(Program):
    """Holds ``kept`` bytes from the beginning; a step holds ``sizes`` more at the same time."""

    def __init__(self, device, kept, sizes, extra_file=None):
        self.kept = torch.zeros(kept, dtype=torch.uint8)
        self.sizes = sizes
        if extra_file and Path(extra_file).exists():
            self.sizes = [*sizes, int(Path(extra_file).read_text())]

    def step(self):
        held = [torch.zeros(size, dtype=torch.uint8) for size in self.sizes]
        del held
        return torch.ones(1)


def faulty():
    """Whether the requested faults of programs are active: the file ``faulty`` exists."""
    return Path("faulty").exists()


class Block(torch.nn.Module):
    """One linear layer, which may get a fault: ``copy``, ``call``, ``keep``, ``item``, ``break`` or ``looks``."""

    def __init__(self, width, fault=None):
        super().__init__()
        self.linear = torch.nn.Linear(width, width)
        self.fault = fault if faulty() else None
        self.kept = []

    def forward(self, hidden):
        hidden = self.linear(hidden)
        if self.fault:
            hidden = getattr(self, f"with_{self.fault}")(hidden)
        return hidden

    def with_copy(self, hidden):
        return hidden.clone()

    def with_call(self, hidden):
        self.linear(hidden)
        return hidden

    def with_keep(self, hidden):
        self.kept.append(hidden)
        return hidden

    def with_item(self, hidden):
        hidden[0, 0].item()
        return hidden

    def with_break(self, hidden):
        torch._dynamo.graph_break()
        return hidden

    def with_looks(self, hidden):
        return hidden * 2 if hidden.sum() > 1e9 else hidden


def stack(width, fault):
    """Two blocks in a row; the second one may be faulty."""
    return torch.nn.Sequential(OrderedDict(first=Block(width), second=Block(width, fault)))


class Stack(Program):
    """A step is a forward pass through two blocks, compiled if asked for."""

    dry_run = "torch_programs:DryStack"

    def __init__(self, device, width=32, fault=None, compiled=False):
        self.width = width
        self.compiled = compiled
        self.network = stack(width, fault)
        # Dynamo's counts are made before the backend, so a backend that generates no code is enough.
        self.call = torch.compile(self.network, backend="eager") if compiled else self.network

    def effective(self):
        settings = {"compile": "default"} if self.compiled else {}
        return settings, settings

    def step(self):
        with torch.inference_mode():
            return self.call(torch.ones(4, self.width))


class DryStack:
    """The same on fake tensors."""

    def __init__(self, stand, width=32, fault=None, compiled=False):
        refuse_compiled("default" if compiled else "off")
        self.network = stack(width, fault)
        stand.tracker.watch(self.network)
        self.batch = stand.input(4, (width,), None)

    def step(self):
        with torch.no_grad():
            return self.network(self.batch)


class Reshaped(Program):
    """A compiled step over a batch that is one sample larger each time."""

    def __init__(self, device, width=8):
        self.width = width
        self.network = torch.nn.Sequential(torch.nn.Linear(width, width))
        # Dynamo's counts are made before the backend, so a backend that generates no code is enough.
        self.call = torch.compile(self.network, backend="eager", dynamic=False)

    def effective(self):
        return {"compile": "default"}, {"compile": "default"}

    def step(self):
        self.samples += 1
        return self.call(torch.ones(self.samples, self.width))
