"""The shapes of well-known models, which come with Perfgate, and the shape of a model in a local folder."""

import json
from dataclasses import replace
from pathlib import Path

from perfgate.models import hub, hub_ids
from perfgate.models.model import AUTO_CLASSES, Model
from perfgate.shared.errors import UserError, nearest
from perfgate.shared.model_files import origin_of
from perfgate.shared.workload import Json

SHAPES = Path(__file__).parent / "shapes.json"
# How the name of a model's class in transformers ends, by the task that it is for.
HEADS = {
    "LMHeadModel": "causal-lm",
    "ForCausalLM": "causal-lm",
    "ForConditionalGeneration": "seq2seq-lm",
    "ForMaskedLM": "masked-lm",
    "ForSequenceClassification": "sequence-classification",
    "ForImageClassification": "image-classification",
}


def read_shapes(path: Path = SHAPES) -> dict[str, Model]:
    """The models of a file of shapes by name, in its order; by default those that come with Perfgate."""
    shapes = json.loads(path.read_text(encoding="utf-8"))
    return {name: Model.from_shape(name, shape, str(path)) for name, shape in shapes.items()}


def find_shape(name: str, task: str | None = None) -> Model:
    """The model of that name, or of the ``config.json`` in that folder or on the hub; no weights are needed.

    Args:
        name: of a model that comes with Perfgate, or a folder, or a pinned id of the hub.
        task: what it is to do; by default what its class was made for.

    Raises:
        UserError: neither is there, or the task is not known, or the folder does not tell it.
    """
    if task and task not in AUTO_CLASSES:
        raise UserError(f"unknown task {task!r}{nearest(task, AUTO_CLASSES)}")
    shapes = read_shapes()
    if name in shapes:
        return shapes[name]
    folder = Path(name)
    if folder.is_dir():
        return folder_shape(folder, task)
    if hub_ids.is_id(name):
        return hub_shape(Model.from_hub(name), task)
    raise UserError(f"unknown model {name!r}{nearest(name, shapes)}; or give a folder that holds its config.json")


def folder_shape(folder: Path, task: str | None) -> Model:
    """The model that a folder's ``config.json`` describes.

    Raises:
        UserError: the file is missing or cannot be read, or it does not tell the task and none is named.
    """
    return Model(folder.resolve().name, {"folder": str(folder)}, own_classes(folder / "config.json", task))


def hub_shape(model: Model, task: str | None) -> Model:
    """The model that the ``config.json`` of a repository describes.

    Raises:
        UserError: it cannot be had, or does not tell the task and none is named.
    """
    hub.fetch_model(model.source, weights=False, tell=lambda _: None)
    config = origin_of(model.source) / "config.json"
    return replace(model, classes=own_classes(config, task))


def own_classes(path: Path, task: str | None) -> dict[str, str]:
    """Class names by task: first what a configuration says that the model is for, then the automatic ones.

    Raises:
        UserError: it cannot be read, or it does not tell the task and none is named.
    """
    config = read_config(path)
    classes = dict(AUTO_CLASSES)
    for name in config.get("architectures") or ():
        own = next((task for ending, task in HEADS.items() if str(name).endswith(ending)), None)
        if own:
            classes = {own: name, **{other: auto for other, auto in classes.items() if other != own}}
            break
    else:
        if task is None:
            raise UserError(f"{path} does not tell what the model is for; say it with --task")
    return classes


def read_config(path: Path) -> dict[str, Json]:
    """A configuration as ``save_pretrained`` writes it.

    Raises:
        UserError: there is none, or it is not a JSON object.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"model folder {path.parent} has no config.json to be read: {error.strerror}") from None
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise UserError(f"{path} is not a JSON object")
    return config
