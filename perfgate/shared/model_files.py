"""The places of a model's or a data set's files on this machine; nothing is downloaded here."""

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
        source: the model's source, as in ``perfgate.workloads.models.model.Model.source``.

    Raises:
        FileNotFoundError: the model is not on this machine; the message is a clause that says what is missing.
    """
    if "folder" in source:
        return Path(str(source["folder"]))
    if "gguf" in source:
        folder = converted_folder(source)
        if not folder.is_dir():
            raise FileNotFoundError(f"{source['gguf']} is not converted yet; the next run on this machine converts it")
        return folder
    return origin_of(source)


def origin_of(source: Mapping[str, Json]) -> Path:
    """The folder that holds the original files of a model: in a package, or in the hub's cache.

    Raises:
        FileNotFoundError: the package is not installed, or the cache does not hold the files.
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
    """A file in the hub's cache, found without contacting the hub; ``None`` if the cache does not hold it.

    See https://huggingface.co/docs/huggingface_hub/guides/manage-cache.
    """
    from huggingface_hub import try_to_load_from_cache  # imported only when needed, because the import takes time

    found = try_to_load_from_cache(repo, name, revision=revision, repo_type=repo_type)
    return Path(found) if isinstance(found, str) else None


def converted_folder(source: Mapping[str, Json]) -> Path:
    """The folder for the converted weights of a GGUF file, whether it exists yet or not.

    It is in the folder that ``huggingface_hub`` keeps for derived files (``HF_ASSETS_CACHE``). Its name is made from
    the file's identity: package and checksum, or repository and commit.
    """
    from huggingface_hub import cached_assets_path

    pinned = json.dumps({key: source[key] for key in IDENTITY if key in source}, sort_keys=True)
    name = f"{Path(source['gguf']).stem}-{hashlib.sha256(pinned.encode()).hexdigest()[:16]}"
    return Path(cached_assets_path("perfgate", "converted", "gguf")) / name


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def wrong_sum(folder: Path, source: Mapping[str, Json]) -> str:
    """Name the first file whose checksum is not the pinned one; empty if there is none. A missing file is no error."""
    for name, expected in source.get("sha256", {}).items():
        if (folder / name).is_file() and (found := sha256_of(folder / name)) != expected:
            return f"{folder / name} has sha256 {found[:12]}..., but {expected[:12]}... is pinned"
    return ""
