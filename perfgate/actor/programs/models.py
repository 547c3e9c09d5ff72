"""Build a model from its resolved shape, or load it from a local folder."""

import hashlib
import importlib.util
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

# transformers imports a class when it is first asked for. What these two bring takes 4 s, which is the fork server's
# to spend, once, and not each actor's.
from transformers import AutoTokenizer, PreTrainedModel
from transformers.initialization import no_init_weights

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class InferenceSettings:
    """What generation and forward passes take besides sizes; a workload leaves out what is at its default."""

    precision: str = "fp32"
    attention: str = "default"
    compile: str = "off"


def build_model(
    spec: dict[str, Any],
    seed: int,
    precision: str = "fp32",
    attention: str = "default",
    lora_rank: int = 0,
    load: bool = True,
) -> PreTrainedModel:
    """Return the model.

    Args:
        spec: ``class`` (a class of transformers) and where it comes from, as ``perfgate.model.Model.source`` has it.
        seed: of random weights.
        precision: of the weights: ``fp32``, ``bf16`` or ``fp16``; under mixed precision they are ``fp32``.
        attention: ``default`` is what transformers chooses.
        lora_rank: of adapters on all linear layers, the rest frozen; 0 for none.
        load: read or draw weights; else only the shape is built.

    Raises:
        ModuleNotFoundError: adapters are asked for and ``peft`` is not installed.
    """
    torch.manual_seed(seed)
    model_class = getattr(transformers, spec["class"])
    options: dict[str, Any] = {"dtype": DTYPES.get(precision, torch.float32)}
    if attention != "default":
        options["attn_implementation"] = attention
    if "config" in spec or not load:
        build = getattr(model_class, "_from_config", None) or model_class.from_config
        with nullcontext() if load else no_init_weights():
            model = build(build_config(spec), **options)
        if not load:
            model.tie_weights()
    else:
        model = model_class.from_pretrained(
            locate(spec), local_files_only=True, use_safetensors=True, trust_remote_code=False, **options
        )
        own_weights(model)
    return with_adapters(model, lora_rank) if lora_rank else model


def build_config(spec: dict[str, Any]) -> Any:
    """Return the configuration of a shape, or the one that lies beside a local model's weights."""
    if "config" not in spec:
        return transformers.AutoConfig.from_pretrained(locate(spec), local_files_only=True, trust_remote_code=False)
    settings = dict(spec["config"])
    return transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)


def with_adapters(model: Any, rank: int) -> Any:
    """Freeze a model and put low-rank adapters beside its linear layers (https://arxiv.org/abs/2106.09685)."""
    import peft  # optional, and slow to import

    return peft.get_peft_model(model, peft.LoraConfig(r=rank, target_modules="all-linear"))


def build_tokenizer(spec: dict[str, Any]) -> Any:
    """Return the tokenizer that lies beside a local model's weights."""
    return AutoTokenizer.from_pretrained(locate(spec), local_files_only=True, trust_remote_code=False)


def locate(spec: dict[str, Any]) -> Path:
    """Return the folder of a local model, its files checked against the pinned sums.

    Raises:
        FileNotFoundError: the package that carries the model is not installed.
        ValueError: a file is not the one that was pinned.
    """
    if "folder" in spec:
        return Path(spec["folder"])
    package = importlib.util.find_spec(spec["package"])
    if package is None or package.origin is None:
        raise FileNotFoundError(f"the package {spec['package']} is not installed")
    folder = Path(package.origin).parent / spec.get("subfolder", "")
    for name, expected in spec.get("sha256", {}).items():
        with (folder / name).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise ValueError(f"{folder / name} has sha256 {found[:12]}..., pinned is {expected[:12]}...")
    return folder


def own_weights(model: Any) -> None:
    """Copy weights out of the mapped file, so that the allocator, and with it the memory pass, knows them."""
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.data = tensor.data.clone()
