"""Turns an optimizer's name into arguments of the Trainer, and an optimizer in force back into its name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from perfgate.actor.tensors import inner_tensors
from perfgate.shared.settings.training import LOW_RANK

BUILT_HERE = ("muon", "adamw_cpu_offload")
COMPILED = ("adamw_torch_8bit",)  # their library compiles them at their first step
MOMENTUM = 0.9

# The name of an optimizer by the package and name of its class.
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
    """The three arguments of ``TrainingArguments`` that choose an optimizer.

    Attributes:
        name: the value of ``optim``.
        arguments: the value of ``optim_args``.
        modules: the value of ``optim_target_modules``.
    """

    name: str
    arguments: str | None = None
    modules: str | None = None


def as_argument(optimizer: str, rank: int = 0) -> Optim:
    """The arguments of ``TrainingArguments`` that choose an optimizer.

    Args:
        optimizer: a value of the setting ``optimizer``.
        rank: rank of a low-rank optimizer's projection; 0 for the library's default.
    """
    if optimizer == "sgd_momentum":
        return Optim("sgd", f"momentum={MOMENTUM}")
    if optimizer in LOW_RANK:
        return Optim(optimizer, f"rank={rank}" if rank else None, "all-linear")
    # The Trainer uses the optimizers built here in place of its own adamw_torch.
    return Optim("adamw_torch" if optimizer in BUILT_HERE else optimizer)


def built_here(optimizer: str, learning_rate: float) -> tuple[Any, dict[str, Any]] | None:
    """The argument ``optimizer_cls_and_kwargs`` of the Trainer, for optimizers that it has no name for, or ``None``."""
    if optimizer == "muon":
        return lambda: make_muon, {"lr": learning_rate}
    if optimizer == "adamw_cpu_offload":
        from torchao.optim import CPUOffloadOptimizer  # optional, and slow to import

        return CPUOffloadOptimizer, {"optimizer_class": torch.optim.AdamW, "lr": learning_rate, "fused": True}
    return None


def assembled(found: tuple[Any, dict[str, Any]], network: Any, groups: Any) -> Any:
    """Construct an optimizer as the Trainer does.

    Args:
        found: the optimizer's class or factory, and its arguments.
        network: the model whose parameters it updates.
        groups: groups of parameters, used if the arguments contain no parameters.
    """
    make, options = found[0], dict(found[1])
    if not isinstance(make, type):
        return make()(network, **options)
    return make(next((options.pop(name) for name in ("params", "model") if name in options), groups), **options)


class MuonWithAdamW(torch.optim.Optimizer):
    """Muon for hidden matrices and AdamW for the rest, as Muon's author advises.

    See https://kellerjordan.github.io/posts/muon/.

    Args:
        matrices: parameters that ``torch.optim.Muon`` updates; it keeps only a momentum for each.
        others: parameters that ``torch.optim.AdamW`` updates.
        lr: the learning rate of both.
    """

    def __init__(self, matrices: list[Any], others: list[Any], lr: float) -> None:
        shares = (torch.optim.Muon, matrices), (torch.optim.AdamW, others)
        self.parts = [make(weights, lr=lr) for make, weights in shares if weights]
        super().__init__([group for part in self.parts for group in part.param_groups], {"lr": lr})

    def step(self, closure: Any = None) -> None:
        """Step both. Loading a state dict may have replaced groups and state, so both parts get the current ones."""
        del closure
        for part, group in zip(self.parts, self.param_groups, strict=True):
            part.param_groups, part.state = [group], self.state
            part.step()


def make_muon(network: Any, lr: float) -> MuonWithAdamW:
    """Build the optimizer: Muon takes the matrices that belong neither to embeddings nor to the output layer."""
    outer = [module for module in network.modules() if isinstance(module, torch.nn.Embedding)]
    outer.append(network.get_output_embeddings())
    apart = {id(weight) for module in outer if module is not None for weight in module.parameters()}
    trained = [weight for weight in network.parameters() if weight.requires_grad]
    matrices = [weight for weight in trained if weight.ndim == 2 and id(weight) not in apart]
    chosen = set(map(id, matrices))
    return MuonWithAdamW(matrices, [weight for weight in trained if id(weight) not in chosen], lr)


def optimizer_name(optimizer: Any) -> str:
    """The value of the setting ``optimizer`` for an optimizer in force, or its class's name if there is none."""
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
    """The rank of a low-rank optimizer's projection, or 0 for any other optimizer."""
    return max((group.get("rank", 0) for group in optimizer.param_groups), default=0)


def state_of(optimizer: Any) -> list[Any]:
    """The tensors on the device that an optimizer keeps from step to step; an offloaded optimizer has none."""
    states = getattr(optimizer, "state", {}).values()
    return [tensor for state in states for value in state.values() for tensor in tensors_within(value)]


def tensors_within(value: Any) -> Iterator[Any]:
    """The plain tensors in a value of an optimizer's state.

    The value may be a tensor, a quantized tensor, or an object that holds tensors, such as a low-rank projection.
    """
    if isinstance(value, torch.Tensor):
        yield from inner_tensors(value)
    elif hasattr(value, "__dict__"):
        yield from (tensor for tensor in vars(value).values() if isinstance(tensor, torch.Tensor))
