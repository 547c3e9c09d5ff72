"""Runs one operator by itself, forward or backward, on the same tensors again and again."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from perfgate.actor.devices.base import Device
from perfgate.actor.programs.base import OUTCOME_VALUES, Program
from perfgate.actor.request import OperatorSettings
from perfgate.actor.techniques.models import DTYPES
from perfgate.shared.settings import asked

DROPOUT = 0.1
RMS_EPSILON = 1e-6


class Single:
    """An operator as a module, with its inputs, on real or fake tensors.

    Attributes:
        network: contains the operator under its name, so that reports name its work.
        result: the result of the last step: outputs or gradients.
    """

    def __init__(self, operator: str, sizes: dict[str, int], chosen: OperatorSettings, seed: int, place: str) -> None:
        torch.manual_seed(seed)
        dtype = DTYPES[chosen.precision]
        self.chosen = chosen
        self.network = nn.ModuleDict({operator: build(operator, sizes, chosen).to(place, dtype)})
        self.call = self.network[operator]
        self.inputs = [torch.randn(shape, dtype=dtype, device=place) for shape in shapes(operator, sizes)]
        weights = list(self.network.parameters())
        wanted: dict[str, list[Any]] = {"forward": [], "activation_gradient": self.inputs, "weight_gradient": weights}
        self.wanted = wanted.get(chosen.direction, [*self.inputs, *weights])
        for tensor in (*self.inputs, *weights):
            tensor.requires_grad_(any(tensor is one for one in self.wanted))
        self.result: list[Any] = []

    def prepare(self) -> None:
        """If the step computes gradients, run the forward pass once; each step then repeats the backward pass."""
        if self.wanted:
            self.output = self.call(*self.inputs)
            self.gradient = torch.randn_like(self.output)

    def step(self) -> list[Any]:
        """Call the operator, and return its outputs or gradients."""
        if self.wanted:
            found = torch.autograd.grad(self.output, self.wanted, self.gradient, retain_graph=True)
            self.result = list(found)
        else:
            self.result = [self.call(*self.inputs)]
        return self.result

    def in_force(self) -> dict[str, Any]:
        """The settings that the operator and its last result show; empty before the first step."""
        if not self.result:
            return {}
        result = self.result[0]
        return {
            "precision": next((name for name, dtype in DTYPES.items() if dtype == result.dtype), "other"),
            "fused": not isinstance(self.call, WrittenOut),
            "in_place": result.data_ptr() == self.inputs[0].data_ptr(),
        }


class Operator(Program):
    """A step is one call of the operator, or one computation of its gradients; the device's rates are measured too."""

    dry_run = "perfgate.actor.dry_run.programs.operators:DryOperator"

    def __init__(self, device: Device, operator: str, seed: int, sizes: dict[str, int], **settings: Any) -> None:
        self.chosen = OperatorSettings(**settings)
        self.single = Single(operator, sizes, self.chosen, seed, device.torch_device)
        self.single.prepare()
        self.network = self.single.network
        self.samples = sizes.get("batch_size", 1)
        self.rates_of = DTYPES[self.chosen.precision]

    def effective(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Read the settings back from the operator and its result."""
        return asked(self.chosen), self.single.in_force()

    def outcome(self) -> dict[str, list[float]]:
        """The first values of the result."""
        return {"logits": self.single.result[0].detach().flatten()[:OUTCOME_VALUES].float().tolist()}

    def step(self) -> list[Any]:
        """Call the operator, and return its outputs or gradients."""
        found = self.single.step()
        if not self.keeps_outcome:
            self.single.result = []
        return found


def build(operator: str, sizes: dict[str, int], chosen: OperatorSettings) -> nn.Module:
    """The operator as a module."""
    columns, fused = sizes.get("columns", 0), chosen.fused
    modules: dict[str, Callable[[], nn.Module]] = {
        "matmul": Product,
        "batched_matmul": Product,
        "linear": lambda: nn.Linear(sizes["inputs"], sizes["outputs"], bias=False),
        "attention": Attention if fused else WrittenAttention,
        "softmax": lambda: nn.Softmax(dim=-1) if fused else WrittenSoftmax(),
        "layer_norm": lambda: (nn.LayerNorm if fused else WrittenLayerNorm)(columns),
        "rms_norm": lambda: (nn.RMSNorm if fused else WrittenRMSNorm)(columns, eps=RMS_EPSILON),
        "gelu": nn.GELU if fused else WrittenGelu,
        "dropout": lambda: nn.Dropout(DROPOUT),
        "residual": lambda: Residual(chosen.in_place),
        "bias": lambda: Bias(columns, chosen.in_place),
    }
    return modules[operator]()


def shapes(operator: str, sizes: dict[str, int]) -> list[tuple[int, ...]]:
    """The shapes of an operator's inputs."""
    batch = (sizes["batch_size"],) if "batch_size" in sizes else ()
    if operator in ("matmul", "batched_matmul"):
        return [(*batch, sizes["rows"], sizes["inner"]), (*batch, sizes["inner"], sizes["columns"])]
    if operator == "linear":
        return [(*batch, sizes["inputs"])]
    if operator == "attention":
        return [(*batch, sizes["heads"], sizes["sequence_length"], sizes["head_width"])] * 3
    return [(sizes["rows"], sizes["columns"])] * (2 if operator == "residual" else 1)


class Product(nn.Module):
    """A product of two matrices, or of two stacks of them."""

    def forward(self, left: Any, right: Any) -> Any:
        """Multiply."""
        return torch.bmm(left, right) if left.dim() == 3 else torch.mm(left, right)


class Attention(nn.Module):
    """Attention without a mask."""

    def forward(self, query: Any, key: Any, value: Any) -> Any:
        """Weighted values."""
        return functional.scaled_dot_product_attention(query, key, value)


class Residual(nn.Module):
    """The sum of two tensors."""

    def __init__(self, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place

    def forward(self, hidden: Any, residual: Any) -> Any:
        """Add."""
        return hidden.add_(residual) if self.in_place else hidden + residual


class Bias(nn.Module):
    """A vector added to each row."""

    def __init__(self, columns: int, in_place: bool) -> None:
        super().__init__()
        self.in_place = in_place
        self.weight = nn.Parameter(torch.randn(columns))

    def forward(self, hidden: Any) -> Any:
        """Add."""
        return hidden.add_(self.weight) if self.in_place else hidden + self.weight


class WrittenOut:
    """An operator written out in elementary operators, each of which reads and writes the whole tensor."""


class WrittenAttention(WrittenOut, nn.Module):
    """Attention that stores all attention weights at once."""

    def forward(self, query: Any, key: Any, value: Any) -> Any:
        """Weighted values."""
        weights = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(query.shape[-1])
        return torch.matmul(torch.softmax(weights, dim=-1), value)


class WrittenSoftmax(WrittenOut, nn.Module):
    """Softmax over the last dimension."""

    def forward(self, values: Any) -> Any:
        """Shares that add up to 1."""
        powers = torch.exp(values - values.amax(dim=-1, keepdim=True))
        return powers / powers.sum(dim=-1, keepdim=True)


class WrittenLayerNorm(WrittenOut, nn.LayerNorm):
    """Layer norm."""

    def forward(self, input: Any) -> Any:
        """Rows of mean 0 and variance 1, scaled and shifted."""
        centred = input - input.mean(dim=-1, keepdim=True)
        scale = torch.rsqrt(centred.square().mean(dim=-1, keepdim=True) + self.eps)
        return centred * scale * self.weight + self.bias


class WrittenRMSNorm(WrittenOut, nn.RMSNorm):
    """RMS norm."""

    def forward(self, input: Any) -> Any:
        """Rows of mean square 1, scaled."""
        return input * torch.rsqrt(input.square().mean(dim=-1, keepdim=True) + self.eps) * self.weight


class WrittenGelu(WrittenOut, nn.Module):
    """The exact GELU (https://arxiv.org/abs/1606.08415)."""

    def forward(self, values: Any) -> Any:
        """Each value times the probability that a standard normal variable is below it."""
        return 0.5 * values * (1 + torch.erf(values / math.sqrt(2)))
