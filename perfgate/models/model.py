"""Which model to run: a shape that is built with a seed, a local folder, an installed package, or an id of the hub."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perfgate.models import hub_ids
from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json

# The automatic class of transformers that puts the right head on a local folder's model.
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
    """A model by name, where it comes from, and the tasks that it can do.

    Attributes:
        name: as it appears in a case's id.
        source: ``{"config": {...}}``, ``{"folder": path}``, ``{"package": name, "subfolder": ..., "sha256": {...}}`` or
            ``{"hub": "org/name", "revision": commit}``; the last two also with ``gguf``, the name of a GGUF file, and
            any with ``trust_remote_code``, to run Python code that comes with the model.
        classes: class name in transformers for each task; the first task is the default.
        tier: the smallest tier that runs it.
    """

    name: str
    source: Mapping[str, Json]
    classes: Mapping[str, str]
    tier: str = "quick"

    def class_for(self, task: str | None, accepted: tuple[str, ...]) -> tuple[str, str]:
        """Return the task and its class: the named task, or the model's first that is accepted.

        Raises:
            UserError: the model cannot do it.
        """
        tasks = [name for name in self.classes if name in accepted]
        chosen = task or next(iter(tasks), None)
        if chosen not in tasks:
            wanted = task or " or ".join(accepted)
            raise UserError(f"model {self.name!r} has no class for {wanted}; it has: {', '.join(self.classes)}")
        return chosen, self.classes[chosen]

    @classmethod
    def from_shape(cls, name: str, shape: Mapping[str, Json], where: str = "shape") -> "Model":
        """Read a shape as ``fixtures/models.json`` writes it.

        Raises:
            UserError: a key is unknown or missing.
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
    def from_folder(cls, folder: str | Path) -> "Model":
        """A folder as ``save_pretrained`` leaves it.

        Raises:
            UserError: the folder, its ``config.json`` or its safetensors weights are missing.
        """
        path = Path(folder)
        if not path.is_dir():
            raise UserError(f"model folder {path} does not exist")
        if not (path / "config.json").is_file():
            raise UserError(f"model folder {path} lacks config.json; save the model there with save_pretrained()")
        if not any(path.glob("*.safetensors")):
            raise UserError(f"model folder {path} has no .safetensors weights; other formats are not loaded")
        return cls(path.name, {"folder": str(folder)}, AUTO_CLASSES)

    @classmethod
    def from_hub(cls, pin: str, *, gguf: str | None = None, trust_remote_code: bool = False) -> "Model":
        """A repository of the Hugging Face Hub at a commit; nothing is downloaded before a case runs.

        Args:
            pin: ``org/name@COMMIT`` with the 40 digits of a commit.
            gguf: name of a GGUF file to load in place of safetensors.
            trust_remote_code: run Python code that lies in the repository.

        Raises:
            UserError: it is no id, or not pinned.
        """
        repo, revision, path = hub_ids.read_pin(pin)
        if path:
            raise UserError(f"model {pin!r} ends in a path; name a GGUF file with gguf={path!r}")
        source: dict[str, Json] = {"hub": repo, "revision": revision}
        source |= {"gguf": gguf} if gguf else {}
        source |= {"trust_remote_code": True} if trust_remote_code else {}
        return cls(repo.partition("/")[2], source, AUTO_CLASSES)


def check_source(source: Mapping[str, Json], where: str) -> None:
    """Refuse a source that does not say exactly which files it means.

    Raises:
        UserError: a hub id without a commit, a GGUF file of a package without its sum, or a detail of another type.
    """
    if "hub" in source:
        hub_ids.read_pin(f"{source['hub']}@{source.get('revision', '')}")
    elif "revision" in source:
        raise UserError(f"{where} has a 'revision' and no 'hub'")
    gguf = source.get("gguf")
    if gguf and not ("hub" in source or "package" in source):
        raise UserError(f"{where}: 'gguf' is of a 'hub' or 'package'")
    if gguf and "package" in source and not SHA256.fullmatch(str(source.get("sha256", {}).get(gguf))):
        raise UserError(f'{where}: {gguf} needs its sum, as in "sha256": {{"{gguf}": ...}}')
    if not isinstance(source.get("trust_remote_code", False), bool):
        raise UserError(f"{where}: 'trust_remote_code' is true or false")


def resolve(model: "Model | str | Path") -> Model:
    """Accept a model as it is, the path of a local folder, or a pinned id of the hub."""
    if isinstance(model, Model):
        return model
    if isinstance(model, str) and hub_ids.is_id(model) and not Path(model).is_dir():
        return Model.from_hub(model)
    return Model.from_folder(model)
