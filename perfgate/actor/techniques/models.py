"""Build a model from its resolved shape, or load it from where it lies on this machine."""

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import torch
import transformers

# transformers imports a class when it is first asked for. Asking for it here lets the fork server spend those seconds
# once, in place of each actor.
from transformers import PreTrainedModel

from perfgate.actor import versions
from perfgate.actor.failures import Unsupported
from perfgate.actor.local_models import locate, trusted
from perfgate.actor.request import Request
from perfgate.actor.techniques.attention import allow_kernel, implementation_of, kernel_of
from perfgate.actor.techniques.quantization import quantized

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def build_inference(request: Request, device: str) -> PreTrainedModel:
    """Return a model for inference on a device, with its weights quantized where that was chosen.

    Args:
        request: the model and its settings.
        device: as torch names it.
    """
    chosen = request.chosen
    model = build_model(request.model, request.seed, chosen.precision, chosen.attention).eval()
    name = getattr(chosen, "quantization", "off")
    return model.to(device) if name == "off" else quantized(model, name, device)


def build_training(request: Request, load: bool = True) -> PreTrainedModel:
    """Return a model for training.

    Args:
        request: the model and its settings.
        load: read or draw weights, and quantize them where that was chosen; else only the shape is built.
    """
    chosen = request.chosen
    return build_model(
        request.model,
        request.seed,
        chosen.weights,
        chosen.attention,
        chosen.lora_rank,
        chosen.experts,
        load,
        chosen.quantization if load else "off",
    )


def build_model(
    spec: Mapping[str, Any],
    seed: int,
    precision: str = "fp32",
    attention: str = "default",
    lora_rank: int = 0,
    experts: str = "default",
    load: bool = True,
    quantization: str = "off",
) -> PreTrainedModel:
    """Return the model.

    Args:
        spec: ``class`` (a class of transformers) and where it comes from, as a model's ``source`` has it.
        seed: of random weights.
        precision: of the weights: ``fp32``, ``bf16`` or ``fp16``; under mixed precision they are ``fp32``.
        attention: ``default`` is what transformers chooses; of ``sdpa-math`` the kernel is chosen for the process.
        lora_rank: of adapters on all linear layers, the rest frozen; 0 for none.
        experts: as transformers calls the implementation; ``default`` is what it chooses.
        load: read or draw weights; else only the shape is built.
        quantization: of the linear layers' weights: as ``quantized`` names it, or ``off``.

    Raises:
        ModuleNotFoundError: adapters are asked for and ``peft`` is not installed.
        Unsupported: this version of transformers does not know a setting.
    """
    torch.manual_seed(seed)
    model_class = getattr(transformers, spec["class"])
    options: dict[str, Any] = {versions.dtype_option(): DTYPES.get(precision, torch.float32)}
    if attention != "default":
        options["attn_implementation"] = implementation_of(attention)
    if experts != "default":
        if not versions.at_least("transformers", 5, 0):
            raise Unsupported(f"experts={experts!r} is not known to {versions.installed('transformers')}")
        options["experts_implementation"] = experts
    if load:
        allow_kernel(kernel_of(attention))
    if "config" in spec or not load:
        build = getattr(model_class, "_from_config", None) or model_class.from_config
        if not load and trusted(spec):
            options["trust_remote_code"] = True  # which only an automatic class knows
        with nullcontext() if load else versions.find("no_init_weights")():
            model = build(build_config(spec), **options)
        if not load:
            model.tie_weights()
    else:
        model = model_class.from_pretrained(
            locate(spec), local_files_only=True, use_safetensors=True, trust_remote_code=trusted(spec), **options
        )
        own_weights(model)
    if quantization != "off":
        model = quantized(model, quantization)
    return with_adapters(model, lora_rank) if lora_rank else model


def build_config(spec: Mapping[str, Any]) -> Any:
    """Return the configuration of a shape, or the one that lies beside a local model's weights."""
    if "config" not in spec:
        folder = locate(spec)
        return transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=trusted(spec))
    settings = dict(spec["config"])
    return transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)


def with_adapters(model: Any, rank: int) -> Any:
    """Freeze a model and put low-rank adapters beside its linear layers (https://arxiv.org/abs/2106.09685)."""
    import peft  # optional, and slow to import

    if getattr(model, "is_quantized", False):
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    return peft.get_peft_model(model, peft.LoraConfig(r=rank, target_modules="all-linear"))


def own_weights(model: Any) -> None:
    """Copy weights out of the mapped file, so that the allocator, and with it the memory pass, knows them."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()
