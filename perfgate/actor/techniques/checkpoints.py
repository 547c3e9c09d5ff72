"""Writes a model with weights from a seed into files once a run; steps then load it again and again."""

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from perfgate.actor import versions
from perfgate.actor.techniques.models import build_model

SHARDS = 4
WEIGHTS = "*.safetensors"
DTYPES = {"F32": "fp32", "BF16": "bf16", "F16": "fp16"}


def checkpoint(model: Mapping[str, Any], seed: int, precision: str, sharded: bool, parent: Path) -> Path:
    """Write a model as ``save_pretrained`` does, unless its folder is there already; returns the folder.

    Args:
        model: the model's source.
        seed: the seed of random weights.
        precision: the number type of the weights in the files.
        sharded: whether no file holds more than a quarter of the weights.
        parent: the folder to write into.
    """
    writers = [versions.installed(library) for library in ("torch", "transformers")]
    told = json.dumps([model, seed, precision, sharded, writers], sort_keys=True)
    target = parent / f"model-{hashlib.sha256(told.encode()).hexdigest()[:16]}"
    if not target.is_dir():
        network = build_model(model, seed, precision)
        size_bytes = sum(tensor.nbytes for tensor in network.state_dict().values())
        with TemporaryDirectory(prefix=f"{target.name}-", dir=parent) as made:
            folder = Path(made) / "model"
            network.save_pretrained(folder, max_shard_size=size_bytes // SHARDS if sharded else size_bytes + 1)
            # Another process may have been faster.
            with contextlib.suppress(OSError):
                folder.rename(target)
    return target


def files_of(folder: Path) -> str:
    """The value of the setting ``files`` that a folder shows."""
    return "sharded" if len(list(folder.glob(WEIGHTS))) > 1 else "one"


def precision_of(folder: Path) -> str:
    """The number type of the weights in a folder, by the header of its first file."""
    with next(iter(sorted(folder.glob(WEIGHTS)))).open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    found = {DTYPES.get(row["dtype"], "other") for name, row in header.items() if name != "__metadata__"}
    return found.pop() if len(found) == 1 else "mixed"
