"""Pairs of sentences in two languages, as the message catalogues of an installed package hold them.

A catalogue is a JSON file that maps each message to its translations, as JupyterLab's language packs have it
(https://github.com/jupyterlab/language-packs). Nothing of it is kept here: each file is pinned by its sum.
"""

from collections.abc import Mapping
from typing import Any

from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json

Pairs = Mapping[str, Json]

KEYS = ("package", "subfolder", "sha256")
EXAMPLE = '{"package": "my_language_pack", "subfolder": "locale", "sha256": {"messages.json": "..."}}'


def read_pairs(data: Any) -> Json:
    """Check where pairs lie; returns it as JSON.

    Raises:
        UserError: no package is named, or no file of it with its sum.
    """
    if not isinstance(data, Mapping) or set(data) - set(KEYS) or not data.get("package") or not data.get("sha256"):
        raise UserError(f"data for seq2seq-lm is pairs of sentences in an installed package, as in {EXAMPLE}")
    return {**data, "sha256": dict(data["sha256"])}
