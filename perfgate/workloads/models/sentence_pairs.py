"""Pairs of sentences in two languages, from the message catalogues of an installed package.

A catalogue is a JSON file that maps each message to its translations, as in JupyterLab's language packs
(https://github.com/jupyterlab/language-packs). Perfgate contains none of them; each file is pinned by its checksum.
"""

from collections.abc import Mapping
from typing import Any

from perfgate.shared.errors import UserError
from perfgate.shared.workload import Json

Pairs = Mapping[str, Json]

KEYS = ("package", "subfolder", "sha256")
EXAMPLE = '{"package": "my_language_pack", "subfolder": "locale", "sha256": {"messages.json": "..."}}'


def read_pairs(data: Any) -> Json:
    """Check a description of sentence pairs, and return it as JSON.

    Raises:
        UserError: the description names no package, or no file with its checksum.
    """
    if not isinstance(data, Mapping) or set(data) - set(KEYS) or not data.get("package") or not data.get("sha256"):
        raise UserError(f"data for seq2seq-lm must name pairs of sentences in an installed package, as in {EXAMPLE}")
    return {**data, "sha256": dict(data["sha256"])}
