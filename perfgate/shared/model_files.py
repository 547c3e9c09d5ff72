"""Where the files of a model or data set lie on this machine, on both sides of the wall; nothing is fetched here."""

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

from perfgate.shared.workload import Json

IDENTITY = ("package", "subfolder", "hub", "revision", "gguf", "sha256")


def folder_of(source: Mapping[str, Json]) -> Path:
    """The folder from which transformers loads a model.

    Args:
        source: as ``perfgate.models.model.Model.source`` has it.

    Raises:
        FileNotFoundError: it is not on this machine; the message is a clause that says what is missing.
    """
    if "folder" in source:
        return Path(str(source["folder"]))
    if "gguf" in source:
        folder = converted_folder(source)
        if not folder.is_dir():
            raise FileNotFoundError(f"{source['gguf']} is not converted yet; a run of Perfgate on this machine does it")
        return folder
    return origin_of(source)


def origin_of(source: Mapping[str, Json]) -> Path:
    """The folder in which a model's files came: of a package, or of the hub's cache.

    Raises:
        FileNotFoundError: it is not on this machine.
    """
    if "hub" in source:
        name = source.get("gguf", "config.json")
        path = cached_file(source["hub"], source["revision"], name)
        if path is None:
            raise FileNotFoundError(f"{name} of {source['hub']}@{source['revision']} is not in the hub's cache")
        return path.parent
    package = importlib.util.find_spec(source["package"])
    if package is None or package.origin is None:
        raise FileNotFoundError(f"the package {source['package']} is not installed")
    return Path(package.origin).parent / str(source.get("subfolder", ""))


def cached_file(repo: str, revision: str, name: str, repo_type: str = "model") -> Path | None:
    """A file of the hub as its cache holds it, without asking the hub; ``None`` where it does not.

    See https://huggingface.co/docs/huggingface_hub/guides/manage-cache.
    """
    from huggingface_hub import try_to_load_from_cache  # only what needs it pays for it

    found = try_to_load_from_cache(repo, name, revision=revision, repo_type=repo_type)
    return Path(found) if isinstance(found, str) else None


def converted_folder(source: Mapping[str, Json]) -> Path:
    """Where the conversion of a GGUF file is kept, whether it is there or not.

    It lies in the folder that ``huggingface_hub`` keeps for what libraries derive (``HF_ASSETS_CACHE``), under a name
    that follows from what pins the file: package and sum, or repository and commit.
    """
    from huggingface_hub import cached_assets_path

    pinned = json.dumps({key: source[key] for key in IDENTITY if key in source}, sort_keys=True)
    name = f"{Path(source['gguf']).stem}-{hashlib.sha256(pinned.encode()).hexdigest()[:16]}"
    return Path(cached_assets_path("perfgate", "converted", "gguf")) / name


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wrong_sum(folder: Path, source: Mapping[str, Json]) -> str:
    """Say which file is not the one that was pinned; empty where all are, or are not there."""
    for name, expected in source.get("sha256", {}).items():
        if (folder / name).is_file() and (found := sha256_of(folder / name)) != expected:
            return f"{folder / name} has sha256 {found[:12]}..., pinned is {expected[:12]}..."
    return ""
