"""A model to run: a shape with a seed, a local folder, an installed package, or an id of the hub."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json
from perfgate.workloads.models import hub_ids
from perfgate.workloads.models.folders import Places, check_folder

# The class of transformers that loads a folder's model with the right head, for each task.
AUTO_CLASSES = {
    "causal-lm": "AutoModelForCausalLM",
    "seq2seq-lm": "AutoModelForSeq2SeqLM",
    "masked-lm": "AutoModelForMaskedLM",
    "sequence-classification": "AutoModelForSequenceClassification",
    "image-classification": "AutoModelForImageClassification",
    "embedding": "AutoModel",
}
TIERS = ("smoke", "quick", "standard", "full")
SOURCES = ("config", "folder", "package", "hub")
DETAILS = ("subfolder", "revision", "gguf", "sha256", "trust_remote_code")
KEYS = {"tier", "classes", *SOURCES, *DETAILS}
SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Model:
    """A model: its name, its source, and its tasks.

    Attributes:
        name: the name that appears in a case's id.
        source: ``{"config": {...}}``, ``{"folder": path}``, ``{"package": name, "subfolder": ..., "sha256": {...}}`` or
            ``{"hub": "org/name", "revision": commit}``. The last two can name a GGUF file with ``gguf``, and each of
            them can allow Python code that comes with the model with ``trust_remote_code``.
        classes: class name in transformers for each task; the first task is the default.
        tier: the smallest tier that runs the model.
        place: the path of its folder on this machine, once found; not part of the model's identity.
    """

    name: str
    source: Mapping[str, Json]
    classes: Mapping[str, str]
    tier: str = "quick"
    place: str = field(default="", compare=False)

    def class_for(self, task: str | None, accepted: tuple[str, ...]) -> tuple[str, str]:
        """Return a task and its class: the named task, or the model's first task that is accepted.

        Raises:
            UserError: the model cannot do the task.
        """
        tasks = [name for name in self.classes if name in accepted]
        chosen = task or next(iter(tasks), None)
        if chosen not in tasks:
            wanted = task or " or ".join(accepted)
            raise UserError(
                f"model {self.name!r} has no class for {wanted}; it has classes for {', '.join(self.classes)}"
            )
        return chosen, self.classes[chosen]

    @classmethod
    def from_shape(cls, name: str, shape: Mapping[str, Json], where: str = "shape") -> "Model":
        """Read an entry of a file of shapes, such as ``fixtures/models.json``.

        Args:
            name: name of the entry.
            shape: the entry.
            where: name of the file, for messages.

        Raises:
            UserError: a key is unknown or missing, or has a value that is not allowed.
        """
        if unknown := sorted(set(shape) - KEYS):
            raise UserError(
                f"{where}: {name!r} has unknown keys {', '.join(unknown)}; known are {', '.join(sorted(KEYS))}"
            )
        kinds = [key for key in SOURCES if key in shape]
        if len(kinds) != 1 or not shape.get("classes"):
            raise UserError(f"{where}: {name!r} needs 'classes' and exactly one of {', '.join(SOURCES)}")
        if shape.get("tier", "quick") not in TIERS or not isinstance(shape["classes"], Mapping):
            raise UserError(
                f"{where}: {name!r} needs 'classes' by task, and a 'tier' that is one of {', '.join(TIERS)}"
            )
        source = {key: shape[key] for key in (*SOURCES, *DETAILS) if key in shape}
        check_source(source, f"{where}: {name!r}")
        return cls(name, source, dict(shape["classes"]), shape.get("tier", "quick"))

    @classmethod
    def from_folder(cls, folder: str | Path, *, trust_remote_code: bool = False) -> "Model":
        """A model in a folder that ``save_pretrained`` wrote; the folder is found when a case names the model.

        Args:
            folder: absolute, or relative to the test file's folder, pytest's rootdir or the current folder.
            trust_remote_code: whether to run Python code from the folder, which its ``auto_map`` names.
        """
        source: dict[str, Json] = {"folder": str(folder)}
        source |= {"trust_remote_code": True} if trust_remote_code else {}
        return cls(Path(folder).name, source, AUTO_CLASSES)

    @classmethod
    def from_hub(cls, pin: str, *, gguf: str | None = None, trust_remote_code: bool = False) -> "Model":
        """A repository of the Hugging Face Hub at a commit; it is downloaded when a case runs.

        Args:
            pin: ``org/name@COMMIT`` with the 40 digits of a commit.
            gguf: name of a GGUF file to load in place of safetensors.
            trust_remote_code: whether to run Python code from the repository.

        Raises:
            UserError: ``pin`` is not an id of the hub, or names no commit.
        """
        repo, revision, path = hub_ids.read_pin(pin)
        if path:
            raise UserError(f"model {pin!r} ends in a path; name a GGUF file with gguf={path!r}")
        source: dict[str, Json] = {"hub": repo, "revision": revision}
        source |= {"gguf": gguf} if gguf else {}
        source |= {"trust_remote_code": True} if trust_remote_code else {}
        return cls(repo.partition("/")[2], source, AUTO_CLASSES)


def check_source(source: Mapping[str, Json], where: str) -> None:
    """Refuse a source that does not identify its files exactly.

    Raises:
        UserError: an id of the hub has no commit, a package's GGUF file has no checksum, or a value has a wrong type.
    """
    if "hub" in source:
        hub_ids.read_pin(f"{source['hub']}@{source.get('revision', '')}")
    elif "revision" in source:
        raise UserError(f"{where} has a 'revision' but no 'hub'")
    gguf = source.get("gguf")
    if gguf and not ("hub" in source or "package" in source):
        raise UserError(f"{where} has a 'gguf' but neither a 'hub' nor a 'package'")
    if gguf and "package" in source and not SHA256.fullmatch(str(source.get("sha256", {}).get(gguf))):
        raise UserError(f'{where}: {gguf} needs its checksum, as in "sha256": {{"{gguf}": ...}}')
    if not isinstance(source.get("trust_remote_code", False), bool):
        raise UserError(f"{where}: 'trust_remote_code' must be true or false")


def resolve(model: "Model | str | Path", places: Places | None = None) -> Model:
    """The model that a case names: a ``Model``, the path of a local folder, or an id of the hub with its commit.

    Args:
        model: the model as the case names it.
        places: the places to look for folders; by default the current folder.

    Raises:
        UserError: the folder does not exist or has no model, or the id has no commit.
    """
    places = places or Places.here()
    if isinstance(model, str) and hub_ids.is_id(model) and places.find(model) is None:
        try:
            return Model.from_hub(model)
        except UserError as error:
            raise UserError(f"{error}{'' if '@' in model else places.told(model)}") from None
    found = model if isinstance(model, Model) else Model.from_folder(model)
    return found if found.place or "folder" not in found.source else located(found, places)


def located(model: Model, places: Places) -> Model:
    """A model with its folder found.

    Raises:
        UserError: the folder does not exist or has no model.
    """
    written = model.source["folder"]
    path = places.find(written)
    if path is None:
        raise UserError(f"model folder {written} does not exist{places.told(written)}")
    check_folder(path)
    return replace(model, source={**model.source, "folder": places.name(path, written)}, place=str(path))
