"""Build a model from its resolved shape, or load it from a local folder."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

import torch
import transformers

# transformers imports a class when it is first asked for. What these two bring takes 4 s, which is the fork server's
# to spend, once, and not each actor's.
from transformers import AutoTokenizer, PreTrainedModel


def build_model(spec: dict[str, Any], seed: int) -> PreTrainedModel:
    """Return the model in fp32.

    Args:
        spec: ``class`` (a class of transformers) and where it comes from, as ``perfgate.model.Model.source`` has it.
        seed: of random weights.
    """
    torch.manual_seed(seed)
    model_class = getattr(transformers, spec["class"])
    if "config" in spec:
        settings = dict(spec["config"])
        config = transformers.AutoConfig.for_model(settings.pop("model_type"), **settings)
        build = getattr(model_class, "_from_config", model_class)
        return build(config)
    model = model_class.from_pretrained(
        locate(spec),
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        trust_remote_code=False,
    )
    own_weights(model)
    return model


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
