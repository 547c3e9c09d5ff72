"""Real text for a model's own tokenizer: texts, conversations, or a file of a data set on the hub.

A text is a string. A conversation is a list of messages ``{"role": ..., "content": ...}``, which the model's chat
template turns into a text (https://huggingface.co/docs/transformers/chat_templating).
"""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json
from perfgate.workloads.models import hub_ids
from perfgate.workloads.models.model import Model

Message = Mapping[str, str]
Texts = Sequence[str | Sequence[Message]]
Data = Texts | str | Mapping[str, Json]

KEYS = ("hub", "revision", "file", "column")
FORMATS = (".parquet", ".jsonl", ".json", ".csv", ".txt")


def read_texts(texts: Texts, model: Model) -> Json:
    """Check texts and conversations, and return them as JSON.

    Raises:
        UserError: the list is empty, an item is neither a text nor a conversation, or the model has no tokenizer.
    """
    if "config" in model.source:
        raise UserError(f"model {model.name!r} is a shape and has no tokenizer; real text needs a model with weights")
    if isinstance(texts, str) or not texts:
        raise UserError(f"real text must be a list of texts or conversations, not {texts!r}")
    for item in texts:
        if not isinstance(item, str) and not (item and all(map(is_message, item))):
            raise UserError(f"a conversation must be a list of messages with 'role' and 'content', not {item!r}")
    return [item if isinstance(item, str) else [dict(message) for message in item] for item in texts]


def is_message(value: object) -> bool:
    """Whether a value is one message of a conversation."""
    return isinstance(value, Mapping) and set(value) == {"role", "content"} and all(map(is_text, value.values()))


def is_text(value: object) -> bool:
    """Whether a value is a string."""
    return isinstance(value, str)


def read_data(data: Data, model: Model) -> Json:
    """Check the data for training: a list of texts and conversations, or a file of a data set on the hub.

    Args:
        data: the list, or the file as ``org/name@COMMIT/path`` or as a mapping with ``hub``, ``revision``, ``file``
            and, if the column is neither ``text`` nor ``messages``, ``column``.
        model: the model, whose tokenizer reads the text.

    Returns:
        The list, or the mapping.

    Raises:
        UserError: the data are none of these, or the data set has no commit.
    """
    if isinstance(data, str):
        repo, revision, file = hub_ids.read_pin(data, "dataset")
        data = {"hub": repo, "revision": revision, "file": file}
    if not isinstance(data, Mapping):
        return read_texts(data, model)
    if unknown := sorted(set(data) - set(KEYS)):
        raise UserError(f"data has unknown keys {', '.join(unknown)}; known are {', '.join(KEYS)}")
    hub_ids.read_pin(f"{data.get('hub', '')}@{data.get('revision', '')}", "dataset")
    file = str(data.get("file", ""))
    if PurePosixPath(file).suffix not in FORMATS:
        named = repr(file) if file else "none"
        raise UserError(
            f"data set {data['hub']} needs a file, as in {data['hub']}@COMMIT/data/train.parquet, that ends in "
            f"{', '.join(FORMATS)}, but {named} is named"
        )
    read_texts(["any"], model)
    return dict(data)
