"""Hides user names and passwords in URLs, so that they are never written or shown."""

import re
from collections.abc import Mapping
from typing import Any

USER = re.compile(r"(?<=://)[^\s/]+@")
HIDDEN = "***@"


def concealed(text: str) -> str:
    """The text with ``***`` in place of the user and password in each URL."""
    return USER.sub(HIDDEN, text)


def all_concealed(value: Any) -> Any:
    """The JSON value with ``concealed`` applied to each text in it."""
    if isinstance(value, str):
        return concealed(value)
    if isinstance(value, Mapping):
        return {key: all_concealed(inner) for key, inner in value.items()}
    return [all_concealed(inner) for inner in value] if isinstance(value, list | tuple) else value
