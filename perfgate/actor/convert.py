"""Turn a GGUF file into a folder as ``save_pretrained`` leaves it, which loads a hundred times faster.

``python -m perfgate.actor.convert SOURCE TARGET MODEL`` with two folders and a model's source as JSON. Weights come in
float32, out of the quantized blocks as transformers reads them:
https://huggingface.co/docs/transformers/gguf.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from perfgate.places import wrong_sum


def convert(source: Path, target: Path, model: dict[str, Any]) -> None:
    """Write the folder beside its place and rename it, so that it is there whole or not at all.

    Raises:
        ValueError: the file is not the one that was pinned.
    """
    if wrong := wrong_sum(source, model):
        raise ValueError(wrong)
    file = {"gguf_file": model["gguf"], "local_files_only": True}
    loaded = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32, **file)
    config = loaded.config
    # What came out of a GGUF file counts as quantized, which is neither saved nor trained.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    tokenizer = AutoTokenizer.from_pretrained(source, **file)
    with tempfile.TemporaryDirectory(prefix=f"{target.name}-", dir=target.parent) as folder:
        whole = Path(folder) / "model"
        plain.save_pretrained(whole)
        tokenizer.save_pretrained(whole)
        whole.rename(target)


if __name__ == "__main__":
    convert(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
