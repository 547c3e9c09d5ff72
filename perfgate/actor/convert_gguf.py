"""Converts a GGUF file into a folder in the form of ``save_pretrained``, which loads a hundred times faster.

``python -m perfgate.actor.convert_gguf FILE FOLDER``. Transformers decodes the quantized blocks into weights in float32
(https://huggingface.co/docs/transformers/gguf).
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def convert(file: Path, target: Path) -> None:
    """Write the folder under another name and then rename it, so that it never exists half-written."""
    options: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True}
    loaded = AutoModelForCausalLM.from_pretrained(file.parent, dtype=torch.float32, **options)
    config = loaded.config
    # Transformers marks a model from a GGUF file as quantized, and would neither save nor train it.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(file.parent, **options)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}-", dir=target.parent) as folder:
        whole = Path(folder) / "model"
        plain.save_pretrained(whole)
        tokenizer.save_pretrained(whole)
        whole.rename(target)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]))
