"""Finds the plain tensors of a network's weights, and the quantization of the weights.

Torch is not imported here, because programs without torch use this module too.
"""

from collections.abc import Iterable, Iterator
from typing import Any

# By the setting's value: the class of torchao's tensors, and whether activations are quantized too.
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
    """The plain tensors of a network's parameters, including the scales of quantized parameters.

    A tensor of torchao has no storage but wraps other tensors, and bitsandbytes stores scales beside its parameters.
    ``model.get_memory_footprint()`` counts neither.
    """
    parameters = list(network.parameters())
    scales = [vars(state).get("SCB") for state in states_of(network.modules())]
    return [inner for tensor in (*parameters, *scales) if tensor is not None for inner in inner_tensors(tensor)]


def inner_tensors(tensor: Any) -> Iterator[Any]:
    """A plain tensor itself, or the plain tensors that another tensor consists of."""
    if hasattr(tensor, "__tensor_flatten__"):
        held = [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
        # A shard lists its device mesh among them.
        for value in held:
            if hasattr(value, "untyped_storage"):
                yield from inner_tensors(value)
        return
    yield tensor
    held = [getattr(tensor, "SCB", None)]
    if state := getattr(tensor, "quant_state", None):
        nested = getattr(state, "state2", None)  # the state of scales that are themselves quantized
        held += [state.absmax, state.code, getattr(state, "offset", None)]
        held += [nested.absmax, nested.code] if nested is not None else []
    yield from (value for value in held if hasattr(value, "untyped_storage"))


def states_of(modules: Iterable[Any]) -> Iterator[Any]:
    """The tensors that 8-bit layers of bitsandbytes keep beside their weights after the first step."""
    return (module.state for module in modules if type(module).__name__ == "Linear8bitLt")


def quantization_of(network: Any) -> str:
    """The value of the setting ``quantization`` that is in force, or ``mixed`` if layers differ.

    The output layer does not count, because libraries do not quantize it, nor do adapters, which are trained.
    """
    output = getattr(network, "get_output_embeddings", lambda: None)()
    weights = [module.weight for module in network.modules() if is_linear(module) and module is not output]
    kinds = {kind_of(weight) for weight in weights if not (weight.requires_grad and hasattr(network, "peft_config"))}
    return kinds.pop() if len(kinds) == 1 else "mixed" if kinds else "off"


def decoded_to(network: Any) -> set[Any]:
    """The number types in which the layers compute whose weights of 4 bits are decoded each time."""
    layers = [module for module in network.modules() if type(module).__name__ == "Linear4bit"]
    return {getattr(layer, "compute_dtype", None) for layer in layers} - {None}  # peft's layer of that name has none


def is_linear(module: Any) -> bool:
    """Whether a module is a linear layer, or a library's replacement of one."""
    return any(base.__name__ == "Linear" and base.__module__.startswith("torch.nn") for base in type(module).__mro__)


def kind_of(weight: Any) -> str:
    """The quantization of one weight."""
    name = type(weight).__name__
    if name == "Params4bit":
        return str(weight.quant_type)
    if name == "Int8Params":
        return "llm-int8"
    dynamic = getattr(weight, "act_quant_kwargs", None) is not None
    plain = type(weight).__module__.partition(".")[0] == "torch"  # a parameter, perhaps sharded between devices
    return TORCHAO_TENSORS.get((name, dynamic), "off" if plain else name)
