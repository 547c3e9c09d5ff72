"""Which model to run: a shape that is built with a seed, a local folder, or a folder inside an installed package."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from perfgate.errors import UserError
from perfgate.workload import Json

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
SOURCES = ("config", "folder", "package")
KEYS = {"tier", "classes", "subfolder", "sha256", *SOURCES}


@dataclass(frozen=True)
class Model:
    """A model by name, where it comes from, and the tasks that it can do.

    Attributes:
        name: as it appears in a case's id.
        source: ``{"config": {...}}``, ``{"folder": path}`` or ``{"package": name, "subfolder": ..., "sha256": {...}}``.
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
        source = {key: shape[key] for key in (*SOURCES, "subfolder", "sha256") if key in shape}
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


def resolve(model: "Model | str | Path") -> Model:
    """Accept a model as it is, or the path of a local folder."""
    return model if isinstance(model, Model) else Model.from_folder(model)
