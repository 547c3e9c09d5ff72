"""Builds a model from its resolved shape, or loads it from a folder on this machine."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

# transformers imports a class when it is first used. Using it here lets the fork server spend those seconds once,
# and not each actor.
from transformers import PreTrainedModel

from perfgate.actor import versions
from perfgate.actor.failures import Unsupported, WrongModel
from perfgate.actor.local_models import locate, trusted
from perfgate.actor.request import Request
from perfgate.actor.techniques.architectures import check_architecture, class_of
from perfgate.actor.techniques.attention import allow_kernel, implementation_of, kernel_of
from perfgate.actor.techniques.quantization import quantized

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def build_inference(request: Request, device: str) -> PreTrainedModel:
    """Return a model for inference on a device, with quantized weights if the settings say so.

    Args:
        request: the model and its settings.
        device: the device's name in torch.
    """
    chosen = request.chosen
    name = getattr(chosen, "quantization", "off")
    model = build_model(request.model, request.seed, chosen.precision, chosen.attention, drawn_on=device).eval()
    return model.to(device) if name == "off" else quantized(on_host(model), name, device)


def build_training(request: Request, load: bool = True, device: str = "cpu") -> PreTrainedModel:
    """Return a model for training.

    Its random weights are drawn on the device, except with several ranks, where the libraries move them from the host.

    Args:
        request: the model and its settings.
        load: whether weights are loaded or drawn, and quantized if the settings say so. If not, only the shape is
            built.
        device: the device's name in torch.
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
        arithmetic=DTYPES.get(chosen.mixed_precision),
        drawn_on=device if chosen.strategy == "none" else "cpu",
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
    arithmetic: torch.dtype | None = None,
    drawn_on: str = "cpu",
) -> PreTrainedModel:
    """Build or load a model.

    Args:
        spec: ``class`` (a class of transformers) and the model's origin, as in ``Model.source``.
        seed: the seed of random weights.
        precision: number type of the weights: ``fp32``, ``bf16`` or ``fp16``; ``fp32`` for mixed precision.
        attention: an implementation of transformers, or ``default`` for its own choice. With a kernel, as in
            ``sdpa-math``, only that kernel is allowed in the whole process.
        lora_rank: rank of adapters on all linear layers, all other weights frozen; 0 for no adapters.
        experts: an implementation of transformers, or ``default`` for its own choice.
        load: whether weights are loaded or drawn. If not, only the shape is built.
        quantization: the quantization of the linear layers' weights, a name that ``quantized`` knows, or ``off``.
        arithmetic: the number type in which quantized layers compute, if it is not that of the weights.
        drawn_on: the device that draws random weights. A GPU takes milliseconds for a billion, one core of the host
            more than ten seconds. The same seed gives the same weights on the same kind of device.

    Raises:
        ModuleNotFoundError: adapters are asked for and ``peft`` is not installed.
        Unsupported: the installed version of transformers does not know a setting.
        WrongModel: transformers does not know the architecture or the class, and nobody registered them; or the weights
            are damaged.
    """
    torch.manual_seed(seed)
    folder = None if "config" in spec else locate(spec)
    check_architecture(spec, folder)
    model_class = class_of(spec, folder)
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
        if not load and trusted(spec) and not issubclass(model_class, PreTrainedModel):
            options["trust_remote_code"] = True  # only automatic classes have this option
        with drawing(drawn_on) if load else versions.find("no_init_weights")():
            model = build(build_config(spec), **options)
        if not load:
            model.tie_weights()
    else:
        try:
            model = model_class.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, trust_remote_code=trusted(spec), **options
            )
        except SafetensorError as error:
            raise WrongModel(f"the weights in {folder} cannot be read ({error}); save them again") from None
        own_weights(model)
    if quantization != "off":
        model = quantized(on_host(model), quantization, arithmetic=arithmetic)
    return with_adapters(model, lora_rank) if lora_rank else model


def drawing(device: str) -> AbstractContextManager[Any]:
    """Within the block, draw random weights on a device; on the host that is the default."""
    return nullcontext() if device == "cpu" else torch.device(device)


def on_host(model: PreTrainedModel) -> PreTrainedModel:
    """Move weights to the host, where libraries quantize them, and free the device's memory."""
    moved: PreTrainedModel = model.to("cpu")
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    return moved


def build_config(spec: Mapping[str, Any]) -> Any:
    """Return the configuration of a shape, or the one in the folder of a local model."""
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
    """Copy weights from the mapped file into memory of torch's allocator, which the memory pass measures."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()
