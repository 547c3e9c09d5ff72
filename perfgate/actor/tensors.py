"""What the weights of a network really are: the tensors that hold them, and how they are quantized.

Torch is not imported here, as programs without it tell their parts too.
"""

from collections.abc import Iterable, Iterator
from typing import Any

# Classes of torchao's tensors, and whether activations are quantized too, by the setting that brings them.
TORCHAO_TENSORS = {
    ("Int8Tensor", False): "torchao-int8",
    ("Int8Tensor", True): "torchao-int8-dynamic",
    ("Float8Tensor", False): "torchao-float8",
    ("Float8Tensor", True): "torchao-float8-dynamic",
    ("Int4TilePackedTo4dTensor", False): "torchao-int4",
    ("MXTensor", True): "torchao-mxfp4",
    ("NVFP4Tensor", True): "torchao-nvfp4",
}


def stored_tensors(network: Any) -> list[Any]:
    """The tensors behind a network's parameters, with the statistics that quantized ones need.

    A tensor of torchao has no storage of its own but wraps others, and bitsandbytes keeps scales beside its parameters:
    ``model.get_memory_footprint()`` counts neither.
    """
    parameters = list(network.parameters())
    scales = [vars(state).get("SCB") for state in states_of(network.modules())]
    return [inner for tensor in (*parameters, *scales) if tensor is not None for inner in inner_tensors(tensor)]


def inner_tensors(tensor: Any) -> Iterator[Any]:
    """A plain tensor itself; else those that it is made of."""
    if hasattr(tensor, "__tensor_flatten__"):
        held = [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
        # A shard names its mesh of devices among them.
        for value in held:
            if hasattr(value, "untyped_storage"):
                yield from inner_tensors(value)
        return
    yield tensor
    held = [getattr(tensor, "SCB", None)]
    if state := getattr(tensor, "quant_state", None):
        nested = getattr(state, "state2", None)  # of scales that are quantized themselves
        held += [state.absmax, state.code, getattr(state, "offset", None)]
        held += [nested.absmax, nested.code] if nested is not None else []
    yield from (value for value in held if hasattr(value, "untyped_storage"))


def states_of(modules: Iterable[Any]) -> Iterator[Any]:
    """What 8-bit layers of bitsandbytes hold beside their weights from the first step on."""
    return (module.state for module in modules if type(module).__name__ == "Linear8bitLt")


def quantization_of(network: Any) -> str:
    """The quantization that is in force: ``off``, a name of the setting, or ``mixed``.

    The output layer is left out, as libraries leave it in full, and so are adapters, which are trained.
    """
    output = getattr(network, "get_output_embeddings", lambda: None)()
    weights = [module.weight for module in network.modules() if is_linear(module) and module is not output]
    kinds = {kind_of(weight) for weight in weights if not (weight.requires_grad and hasattr(network, "peft_config"))}
    return kinds.pop() if len(kinds) == 1 else "mixed" if kinds else "off"


def is_linear(module: Any) -> bool:
    """Whether a module is a linear layer, or one of a library that took its place."""
    return any(base.__name__ == "Linear" and base.__module__.startswith("torch.nn") for base in type(module).__mro__)


def kind_of(weight: Any) -> str:
    """How one weight is quantized."""
    name = type(weight).__name__
    if name == "Params4bit":
        return str(weight.quant_type)
    if name == "Int8Params":
        return "llm-int8"
    dynamic = getattr(weight, "act_quant_kwargs", None) is not None
    plain = type(weight).__module__.partition(".")[0] == "torch"  # a parameter, or one that is spread over devices
    return TORCHAO_TENSORS.get((name, dynamic), "off" if plain else name)
