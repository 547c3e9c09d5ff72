"""User names and passwords in addresses, which are written nowhere and shown to nobody."""

import re
from collections.abc import Mapping
from typing import Any

USER = re.compile(r"(?<=://)[^\s/]+@")
HIDDEN = "***@"


def concealed(text: str) -> str:
    """A text in which each address has ``***`` in place of a user and a password."""
    return USER.sub(HIDDEN, text)


def all_concealed(value: Any) -> Any:
    """The same for every text in a JSON value."""
    if isinstance(value, str):
        return concealed(value)
    if isinstance(value, Mapping):
        return {key: all_concealed(inner) for key, inner in value.items()}
    return [all_concealed(inner) for inner in value] if isinstance(value, list | tuple) else value
