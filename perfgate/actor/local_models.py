"""A model whose files are on this machine: its folder, its tokenizer, and whether its own code may run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

# transformers imports a class when it is first used. Using it here lets the fork server spend those seconds once,
# and not each actor.
from transformers import AutoTokenizer

from perfgate.shared.model_files import folder_of, wrong_sum


def build_tokenizer(spec: Mapping[str, Any]) -> Any:
    """Return the tokenizer in the folder of a model's weights.

    Raises:
        FileNotFoundError: the model is not on this machine.
        ValueError: a file differs from its pinned checksum.
    """
    return AutoTokenizer.from_pretrained(locate(spec), local_files_only=True, trust_remote_code=trusted(spec))


def trusted(spec: Mapping[str, Any]) -> bool:
    """Whether Python code that came with the model may run."""
    return bool(spec.get("trust_remote_code", False))


def locate(spec: Mapping[str, Any]) -> Path:
    """Return the folder of a model on this machine, after checking its files against the pinned checksums.

    Raises:
        FileNotFoundError: the model is not on this machine, for example because its package is not installed.
        ValueError: a file differs from its pinned checksum.
    """
    folder = folder_of(spec)
    if "gguf" not in spec and (wrong := wrong_sum(folder, spec)):
        raise ValueError(wrong)
    return folder
