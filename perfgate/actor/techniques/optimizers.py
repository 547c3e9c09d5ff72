"""Optimizers by name: how the Trainer is told of them, and how they are read back."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from perfgate.actor.tensors import inner_tensors
from perfgate.shared.settings.training import LOW_RANK

BUILT_HERE = ("muon", "adamw_cpu_offload")
COMPILED = ("adamw_torch_8bit",)  # by their library, as they step
MOMENTUM = 0.9

# By package and class.
NAMES = {
    ("torch", "AdamW"): "adamw_torch",
    ("torch", "SGD"): "sgd",
    ("torch", "Adagrad"): "adagrad",
    ("torch", "RMSprop"): "rmsprop",
    ("transformers", "Adafactor"): "adafactor",
    ("torchao", "AdamW8bit"): "adamw_torch_8bit",
    ("torchao", "CPUOffloadOptimizer"): "adamw_cpu_offload",
    ("galore_torch", "AdamW"): "galore_adamw",
    ("apollo_torch", "AdamW"): "apollo_adamw",
    ("lomo_optim", "Lomo"): "lomo",
    ("perfgate", "MuonWithAdamW"): "muon",
}


@dataclass(frozen=True)
class Optim:
    """An optimizer as ``TrainingArguments`` takes it.

    Attributes:
        name: ``optim``.
        arguments: ``optim_args``.
        modules: ``optim_target_modules``.
    """

    name: str
    arguments: str | None = None
    modules: str | None = None


def as_argument(optimizer: str, rank: int = 0) -> Optim:
    """How ``TrainingArguments`` names an optimizer.

    Args:
        optimizer: by its name here.
        rank: of the projection of a low-rank optimizer; 0 for the library's own.
    """
    if optimizer == "sgd_momentum":
        return Optim("sgd", f"momentum={MOMENTUM}")
    if optimizer in LOW_RANK:
        return Optim(optimizer, f"rank={rank}" if rank else None, "all-linear")
    # What is built here takes the place of the Trainer's own.
    return Optim("adamw_torch" if optimizer in BUILT_HERE else optimizer)


def built_here(optimizer: str, learning_rate: float) -> tuple[Any, dict[str, Any]] | None:
    """A factory and its arguments, as ``Trainer(optimizer_cls_and_kwargs=...)`` takes them; ``None`` for the others."""
    if optimizer == "muon":
        return lambda: make_muon, {"lr": learning_rate}
    if optimizer == "adamw_cpu_offload":
        from torchao.optim import CPUOffloadOptimizer  # optional, and slow to import

        return CPUOffloadOptimizer, {"optimizer_class": torch.optim.AdamW, "lr": learning_rate, "fused": True}
    return None


def assembled(found: tuple[Any, dict[str, Any]], network: Any, groups: Any) -> Any:
    """The optimizer over a network, as the Trainer puts it together.

    Args:
        found: class or factory, and its arguments.
        network: whose parameters it steps.
        groups: of parameters, where the arguments bring none of their own.
    """
    make, options = found[0], dict(found[1])
    if not isinstance(make, type):
        return make()(network, **options)
    return make(next((options.pop(name) for name in ("params", "model") if name in options), groups), **options)


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for hidden matrices, AdamW for the rest, as its author advises (https://kellerjordan.github.io/posts/muon/).

    Args:
        matrices: for ``torch.optim.Muon``, which keeps their momentum alone.
        others: for ``torch.optim.AdamW``.
        lr: of both.
    """

    def __init__(self, matrices: list[Any], others: list[Any], lr: float) -> None:
        shares = (torch.optim.Muon, matrices), (torch.optim.AdamW, others)
        self.parts = [make(weights, lr=lr) for make, weights in shares if weights]
        super().__init__([group for part in self.parts for group in part.param_groups], {"lr": lr})

    def step(self, closure: Any = None) -> None:
        """Step both, over groups and state that a loader may have exchanged."""
        del closure
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state
            part.step()


def make_muon(network: Any, lr: float) -> MuonWithAdamW:
    """Muon over a network's matrices between its embeddings and its head."""
    outer = [module for module in network.modules() if isinstance(module, torch.nn.Embedding)]
    outer.append(network.get_output_embeddings())
    apart = {id(weight) for module in outer if module is not None for weight in module.parameters()}
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    matrices = [weight for weight in trained if weight.ndim == 2 and id(weight) not in apart]
    chosen = set(map(id, matrices))
    return MuonWithAdamW(matrices, [weight for weight in trained if id(weight) not in chosen], lr)


def optimizer_name(optimizer: Any) -> str:
    """The name here of an optimizer that is in force; its class's own where it has none."""
    while hasattr(optimizer, "optimizer"):
        optimizer = optimizer.optimizer
    kind = type(optimizer)
    name = NAMES.get((kind.__module__.partition(".")[0], kind.__name__), kind.__name__)
    if name == "adamw_torch" and optimizer.defaults.get("fused"):
        return "adamw_torch_fused"
    if name == "sgd" and optimizer.defaults.get("momentum"):
        return "sgd_momentum"
    if kind.__module__.startswith("bitsandbytes"):
        name = f"{'paged_' if optimizer.is_paged else ''}{kind.__name__.lower()}_{optimizer.args.optim_bits}bit"
        return "adamw_bnb_8bit" if name == "adamw_8bit" else name
    return name


def optimizer_rank(optimizer: Any) -> int:
    """The rank of a low-rank optimizer's projection; 0 where there is none."""
    return max((group.get("rank", 0) for group in optimizer.param_groups), default=0)


def state_of(optimizer: Any) -> list[Any]:
    """The tensors that an optimizer keeps from step to step; of an offloaded one none, as they lie with the host."""
    states = getattr(optimizer, "state", {}).values()
    return [tensor for state in states for value in state.values() for tensor in tensors_within(value)]


def tensors_within(value: Any) -> Iterator[Any]:
    """A value that is a tensor, or those that it is made of: quantized state, or an object with its projection."""
    if isinstance(value, torch.Tensor):
        yield from inner_tensors(value)
    elif hasattr(value, "__dict__"):
        yield from (tensor for tensor in vars(value).values() if isinstance(tensor, torch.Tensor))
