"""Quantize a model that was built, the way that transformers quantizes one that it loads."""

from collections.abc import Callable
from typing import Any

import torch

from perfgate.actor import versions
from perfgate.actor.failures import Unsupported

INT4_GROUP = 32
# The smallest compute capability of a CUDA device, where it is above what torch itself needs.
CAPABILITIES = {
    "torchao-int4": (8, 0),
    "torchao-float8-dynamic": (8, 9),
    "torchao-mxfp4": (10, 0),
    "torchao-nvfp4": (10, 0),
}


def quantized(model: Any, name: str, device: str = "") -> Any:
    """The same model with quantized linear layers; the output layer stays as it is.

    Its weights go through ``from_pretrained`` as those of a checkpoint would.

    Args:
        model: of transformers, on the CPU.
        name: a value of the setting ``quantization`` besides ``off``.
        device: that it is for, as torch names it; empty where the model is moved there later.

    Raises:
        Unsupported: the GPU has no arithmetic of this kind.
    """
    check_capability(name, device)
    return type(model).from_pretrained(
        None,
        config=model.config,
        state_dict=model.state_dict(),
        **{versions.dtype_option(): model.dtype},
        quantization_config=CONFIGURATIONS[name](),
        device_map={"": device} if device else None,
    )


def check_capability(name: str, device: str) -> None:
    """Refuse what the GPU cannot compute.

    Raises:
        Unsupported: naming both compute capabilities.
    """
    needed = CAPABILITIES.get(name)
    if needed is None or not device.startswith("cuda"):
        return
    found = torch.cuda.get_device_capability(device)
    if found < needed:
        versions = [".".join(map(str, version)) for version in (needed, found)]
        raise Unsupported(f"quantization={name!r} needs a GPU of compute capability {versions[0]}, not {versions[1]}")


def bnb_int8() -> Any:
    """LLM.int8() (https://arxiv.org/abs/2208.07339)."""
    from transformers import BitsAndBytesConfig  # asks for bitsandbytes, which the fork server must not import

    return BitsAndBytesConfig(load_in_8bit=True)


def bnb_nf4() -> Any:
    """NormalFloat of QLoRA (https://arxiv.org/abs/2305.14314), with arithmetic in the type of the activations."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")


def torchao(make: Callable[[Any], Any]) -> Callable[[], Any]:
    """A configuration that is made out of ``torchao.quantization``, which is optional."""

    def build() -> Any:
        import torchao.quantization
        from transformers import TorchAoConfig

        return TorchAoConfig(make(torchao.quantization))

    return build


def mxfp4(_: Any) -> Any:
    """Blocks of 32 with a shared exponent, activations too."""
    from torchao.prototype.mx_formats import MXDynamicActivationMXWeightConfig

    fp4 = torch.float4_e2m1fn_x2
    return MXDynamicActivationMXWeightConfig(activation_dtype=fp4, weight_dtype=fp4)


def nvfp4(_: Any) -> Any:
    """Blocks of 16 with a scale in float8, activations too; without its Triton kernel, which wants another package."""
    from torchao.prototype.mx_formats import NVFP4DynamicActivationNVFP4WeightConfig

    return NVFP4DynamicActivationNVFP4WeightConfig(use_triton_kernel=False)


CONFIGURATIONS: dict[str, Callable[[], Any]] = {
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
