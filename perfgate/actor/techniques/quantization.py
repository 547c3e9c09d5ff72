"""Quantizes a model that is in memory already, through the code with which transformers quantizes a checkpoint."""

from collections.abc import Callable
from typing import Any

import torch

from perfgate.actor import versions
from perfgate.actor.failures import Unsupported
from perfgate.shared.device_kinds import built_for

INT4_GROUP = 32
# The smallest compute capability that a kind of quantization needs, if it is above the smallest that torch supports.
CAPABILITIES = {
    "torchao-int4": (8, 0),
    "torchao-float8-dynamic": (8, 9),
    "torchao-mxfp4": (10, 0),
    "torchao-nvfp4": (10, 0),
}


def quantized(model: Any, name: str, device: str = "", arithmetic: torch.dtype | None = None) -> Any:
    """Return the same model with quantized linear layers; the output layer is not quantized.

    The weights pass through ``from_pretrained``, as those of a checkpoint do.

    Args:
        model: a model of transformers, on the CPU.
        name: a value of the setting ``quantization`` other than ``off``.
        device: the name in torch of the device to put the model on; ``""`` if the model is moved later.
        arithmetic: the number type that decoded weights are multiplied in; by default that of the other weights.

    Raises:
        Unsupported: the GPU cannot compute with such weights.
    """
    check_capability(name, device)
    return type(model).from_pretrained(
        None,
        config=model.config,
        state_dict=model.state_dict(),
        **{versions.dtype_option(): model.dtype},
        quantization_config=CONFIGURATIONS[name](arithmetic or model.dtype),
        device_map={"": device} if device else None,
    )


def check_capability(name: str, device: str) -> None:
    """Check that the GPU's compute capability is high enough for a kind of quantization.

    AMD's GPUs have no such capability, although torch reports their numbers under the same name; there the library
    decides.

    Raises:
        Unsupported: it is too low; the message has both compute capabilities.
    """
    needed = CAPABILITIES.get(name)
    if needed is None or not device or device == "cpu" or not built_for(torch.__version__).capabilities:
        return
    found = torch.cuda.get_device_capability(device)
    if found < needed:
        versions = [".".join(map(str, version)) for version in (needed, found)]
        raise Unsupported(f"quantization={name!r} needs a GPU of compute capability {versions[0]}, not {versions[1]}")


def bnb_int8(_: torch.dtype) -> Any:
    """LLM.int8() (https://arxiv.org/abs/2208.07339)."""
    from transformers import BitsAndBytesConfig  # imports bitsandbytes, which the fork server must not do

    return BitsAndBytesConfig(load_in_8bit=True)


def bnb_nf4(arithmetic: torch.dtype) -> Any:
    """QLoRA's NormalFloat (https://arxiv.org/abs/2305.14314).

    By default transformers has it compute in float32, whatever the activations are.
    """
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=arithmetic)


def torchao(make: Callable[[Any], Any]) -> Callable[[torch.dtype], Any]:
    """Make a function that builds a configuration of torchao; torchao is optional, so only that function imports it.

    torchao computes in the number type of what it gets.

    Args:
        make: gets the module ``torchao.quantization`` and returns the configuration.
    """

    def build(_: torch.dtype) -> Any:
        import torchao.quantization
        from transformers import TorchAoConfig

        return TorchAoConfig(make(torchao.quantization))

    return build


def mxfp4(_: Any) -> Any:
    """Weights and activations in 4 bits, in blocks of 32 values with a shared exponent."""
    from torchao.prototype.mx_formats import MXDynamicActivationMXWeightConfig

    fp4 = torch.float4_e2m1fn_x2
    return MXDynamicActivationMXWeightConfig(activation_dtype=fp4, weight_dtype=fp4)


def nvfp4(_: Any) -> Any:
    """Weights and activations in 4 bits, in blocks of 16 values with a scale in float8.

    torchao's Triton kernel is not used, because it needs one more package.
    """
    from torchao.prototype.mx_formats import NVFP4DynamicActivationNVFP4WeightConfig

    return NVFP4DynamicActivationNVFP4WeightConfig(use_triton_kernel=False)


# Each gets the number type to compute in.
CONFIGURATIONS: dict[str, Callable[[torch.dtype], Any]] = {
    "llm-int8": bnb_int8,
    "nf4": bnb_nf4,
    "torchao-int8": torchao(lambda library: library.Int8WeightOnlyConfig()),
    "torchao-int8-dynamic": torchao(lambda library: library.Int8DynamicActivationInt8WeightConfig()),
    "torchao-float8": torchao(lambda library: library.Float8WeightOnlyConfig()),
    "torchao-float8-dynamic": torchao(lambda library: library.Float8DynamicActivationFloat8WeightConfig()),
    "torchao-int4": torchao(
        lambda library: library.Int4WeightOnlyConfig(group_size=INT4_GROUP, int4_packing_format="tile_packed_to_4d")
    ),
    "torchao-mxfp4": torchao(mxfp4),
    "torchao-nvfp4": torchao(nvfp4),
}
