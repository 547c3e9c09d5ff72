"""The shapes of well-known models that Perfgate brings, and the shapes of models in folders and on the hub."""

from dataclasses import replace
from pathlib import Path

from perfgate.shared.errors import UserError, nearest
from perfgate.shared.model_files import origin_of
from perfgate.shared.parsing import load_json
from perfgate.shared.workload import Json
from perfgate.workloads.models import hub, hub_ids
from perfgate.workloads.models.model import AUTO_CLASSES, Model

SHAPES = Path(__file__).parent / "shapes.json"
IMAGES, PIPELINE = "text-to-image", "model_index.json"
# The folders of the networks' configurations, by the class of a pipeline.
PIPELINES = {
    "StableDiffusionPipeline": {"text_encoder": "text_encoder", "denoiser": "unet", "vae": "vae"},
    "DiTPipeline": {"denoiser": "transformer", "vae": "vae"},
}
# The endings of class names in transformers, with the task that such a class is for.
HEADS = {
    "LMHeadModel": "causal-lm",
    "ForCausalLM": "causal-lm",
    "ForConditionalGeneration": "seq2seq-lm",
    "ForMaskedLM": "masked-lm",
    "ForSequenceClassification": "sequence-classification",
    "ForImageClassification": "image-classification",
}


def read_shapes(path: Path = SHAPES) -> dict[str, Model]:
    """The models of a file of shapes by name, in the order of the file; by default those that Perfgate brings.

    Raises:
        UserError: the file cannot be read, or an entry of it is wrong.
    """
    try:
        shapes = load_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: is no file of shapes: {error}") from None
    if not isinstance(shapes, dict) or not all(isinstance(shape, dict) for shape in shapes.values()):
        raise UserError(f"{path}: a file of shapes is an object that holds an object for each model")
    return {name: Model.from_shape(name, shape, str(path)) for name, shape in shapes.items()}


def find_shape(name: str, task: str | None = None, *, trust_remote_code: bool = False) -> Model:
    """Find a model by name, by folder, or by id of the hub; no weights are needed.

    Args:
        name: name of a model that Perfgate brings, or a folder, or an id of the hub with its commit.
        task: the task of the model; by default the one that its class was made for.
        trust_remote_code: whether to run Python code that comes with a folder or a repository.

    Raises:
        UserError: there is no such model, the task is unknown, or the configuration does not say the task.
    """
    if task and task not in (*AUTO_CLASSES, IMAGES):
        raise UserError(f"unknown task {task!r}{nearest(task, [*AUTO_CLASSES, IMAGES])}")
    shapes = read_shapes()
    if name in shapes:
        return shapes[name]
    folder = Path(name)
    if folder.is_dir() and (task == IMAGES or (folder / PIPELINE).is_file()):
        return pipeline_shape(folder)
    if folder.is_dir():
        return folder_shape(folder, task, trust_remote_code)
    if hub_ids.is_id(name):
        return hub_shape(Model.from_hub(name, trust_remote_code=trust_remote_code), task)
    raise UserError(f"unknown model {name!r}{nearest(name, shapes)}; or give a folder that holds its config.json")


def folder_shape(folder: Path, task: str | None, trust_remote_code: bool = False) -> Model:
    """The model that a folder's ``config.json`` describes.

    Raises:
        UserError: the file is missing or cannot be read, or it does not say the task and none is named.
    """
    model = Model.from_folder(folder, trust_remote_code=trust_remote_code)
    classes = own_classes(folder / "config.json", task)
    return replace(model, name=folder.resolve().name, classes=classes, place=str(folder.absolute()))


def pipeline_shape(folder: Path) -> Model:
    """The image model in a folder that a diffusers pipeline wrote; its weights may be missing.

    Raises:
        UserError: Perfgate does not build pipelines of this class, or a configuration is missing.
    """
    made = read_config(folder / PIPELINE).get("_class_name", "")
    if made not in PIPELINES:
        raise UserError(f"{folder / PIPELINE} is of class {made or 'none'}; supported are {' and '.join(PIPELINES)}")
    config = {part: read_config(folder / place / "config.json") for part, place in PIPELINES[made].items()}
    return Model(folder.resolve().name, {"config": config}, {IMAGES: made})


def hub_shape(model: Model, task: str | None) -> Model:
    """The model that the ``config.json`` of a repository describes.

    Raises:
        UserError: the file cannot be downloaded, or it does not say the task and none is named.
    """
    hub.fetch_model(model.source, weights=False, tell=lambda _: None)
    config = origin_of(model.source) / "config.json"
    return replace(model, classes=own_classes(config, task))


def own_classes(path: Path, task: str | None) -> dict[str, str]:
    """Class names by task: first the class that the configuration names, then the automatic classes of transformers.

    Raises:
        UserError: the configuration cannot be read, or it does not say the task and none is named.
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
            raise UserError(f"{path} does not say what the model is for; name it with --task, such as --task causal-lm")
    return classes


def read_config(path: Path) -> dict[str, Json]:
    """Read a file of JSON that ``save_pretrained`` wrote.

    Raises:
        UserError: the file does not exist, or is not a JSON object.
    """
    try:
        config = load_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"the {path.name} of model folder {path.parent} cannot be read: {error.strerror}") from None
    except ValueError:
        config = None
    if not isinstance(config, dict):
        raise UserError(f"{path} is not a JSON object")
    return config
