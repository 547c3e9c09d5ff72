"""Finds the class of a model: one of transformers, or one that a user's own code registers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers

from perfgate.actor import versions
from perfgate.actor.failures import WrongModel

CONFIG = "config.json"


def check_architecture(spec: Mapping[str, Any], folder: Path | None) -> None:
    """Refuse an architecture that is not known here; transformers' own message would advise about its hub.

    Args:
        spec: the model's source.
        folder: the folder with its ``config.json``; ``None`` for a shape.

    Raises:
        WrongModel: the architecture is unknown; the message has the architecture and the remedy.
    """
    config = read_config(spec, folder)
    kind = config.get("model_type", "")
    if kind in transformers.CONFIG_MAPPING:
        return
    remedy = (
        "where importing a module of yours registers it, name that module: perf_preload = MODULE in the ini file, or "
        "--preload MODULE of a command"
    )
    if brings_code(config):
        if spec.get("trust_remote_code"):
            return
        # Code must not run only because it is in a folder.
        way = "Model.from_hub(ID" if "hub" in spec else "Model.from_folder(FOLDER"
        remedy = (
            f"its own code lies beside its weights and runs where it is allowed to: {way}, trust_remote_code=True), or "
            f"--trust-remote-code of a command; {remedy}"
        )
    known = versions.installed("transformers")
    raise WrongModel(f"{known} does not know the architecture {kind!r} of {where(spec, folder)}; {remedy}")


def class_of(spec: Mapping[str, Any], folder: Path | None) -> Any:
    """The class of a model: one of transformers, a registered one, or one that comes with the model.

    Args:
        spec: the model's source; ``class`` is the name.
        folder: the folder with its ``config.json``; ``None`` for a shape.

    Raises:
        WrongModel: there is no such class.
    """
    name = spec["class"]
    if found := getattr(transformers, name, None):
        return found
    config = read_config(spec, folder)
    for automatic, path in config.get("auto_map", {}).items():
        if str(path).endswith(f".{name}") and spec.get("trust_remote_code"):
            return getattr(transformers, automatic)
    return registered(name, config.get("model_type", "")) or absent(name)


def registered(name: str, kind: str) -> Any:
    """A class that a user's own code registered for an architecture; ``None`` if there is none."""
    if kind not in transformers.CONFIG_MAPPING:
        return None
    config = transformers.CONFIG_MAPPING[kind]
    for automatic in filter(lambda text: text.startswith("AutoModel"), dir(transformers)):
        mapping = getattr(getattr(transformers, automatic), "_model_mapping", None)
        if mapping is not None and config in mapping:
            found = mapping[config]
            for one in found if isinstance(found, tuple) else (found,):
                if one.__name__ == name:
                    return one
    return None


def absent(name: str) -> Any:
    """The error that says that there is no such class."""
    known = versions.installed("transformers")
    raise WrongModel(
        f"{known} has no class {name}, and no module that is named by perf_preload (--preload of a command) registers "
        "one for this architecture"
    )


def brings_code(config: Mapping[str, Any]) -> bool:
    """Whether a configuration names code that comes with it."""
    return bool(config.get("auto_map"))


def read_config(spec: Mapping[str, Any], folder: Path | None) -> dict[str, Any]:
    """The configuration of a shape, or the one in a model's folder.

    Raises:
        WrongModel: the folder no longer has one.
    """
    if folder is None:
        return dict(spec["config"])
    try:
        found: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WrongModel(
            f"model folder {folder} has no {CONFIG} any more; it was there when its case named it, so put it back and "
            "leave it alone while cases run"
        ) from None
    return found


def where(spec: Mapping[str, Any], folder: Path | None) -> str:
    """The name of a model in a sentence."""
    return "the shape" if folder is None else str(spec.get("hub") or spec.get("package") or folder)
