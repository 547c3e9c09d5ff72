"""Numbers, durations and shares that users write in options and marks."""

import json
import math
import re
from datetime import date
from typing import Any

from perfgate.shared.errors import UserError


def positive(where: str, value: Any, whole: bool = False) -> float:
    """Read a number above 0; ``where`` names it in the error.

    Raises:
        UserError: it is not a finite number above 0, or not a whole one.
    """
    try:
        number = int(value) if whole else float(value)
    except (OverflowError, TypeError, ValueError):
        number = 0
    if not 0 < number < float("inf"):
        raise UserError(f"{where} is {value!r}; it must be a {'whole ' if whole else ''}number above 0")
    return number


def whole(text: str) -> int | None:
    """A whole number that is written only in digits; ``None`` for any other text, or one of thousands of digits."""
    try:
        return int(text) if text.isascii() and text.isdigit() else None
    except ValueError:
        return None


def read_duration(where: str, value: str) -> float:
    """Read a duration such as ``90s``, ``10m`` or ``2h``, in seconds.

    Raises:
        UserError: it is not of this form, or not above 0.
    """
    unit = {"s": 1.0, "m": 60.0, "h": 3600.0}.get(value[-1:])
    try:
        number = float(value[:-1]) * (unit or math.nan)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise UserError(f"{where} is {value!r}; it must be a duration like 90s, 10m or 2h")
    return number


def read_watts(where: str, text: str) -> tuple[int, ...]:
    """Read whole watts such as ``150,200,250``; empty if the text is empty.

    Raises:
        UserError: one is no whole number above 0, or comes twice.
    """
    found = tuple(int(positive(where, part.strip(), whole=True)) for part in text.split(",")) if text else ()
    if len(set(found)) < len(found):
        raise UserError(f"{where} is {text!r}; name each once")
    return found


def read_until(where: str, reason: str) -> str:
    """The last day on which something is accepted, if the reason names it: ``slower for now, until 2027-01-31``.

    Returns:
        The day as text, or an empty text if the reason names none.

    Raises:
        UserError: there is no such day.
    """
    found = re.search(r"\buntil (\d{4}-\d{2}-\d{2})\b", reason)
    if not found:
        return ""
    try:
        return date.fromisoformat(found[1]).isoformat()
    except ValueError:
        raise UserError(f"{where}: there is no day {found[1]}; write it like 2027-01-31") from None


def read_share(where: str, value: str) -> float:
    """Read a share of 0 or more and below 10, such as ``0.01`` or ``1%``.

    Raises:
        UserError: it is not such a share.
    """
    try:
        number = float(value[:-1]) / 100 if value.endswith("%") else float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < 10:
        raise UserError(f"{where} is {value!r}; it must be a share like 0.01 or 1%")
    return number


def read_shares(where: str, value: str) -> tuple[float, ...]:
    """Read shares of 0 or more and below 1, with commas between them, such as ``0,0.03``; sorted, without duplicates.

    Raises:
        UserError: one of them is not such a share.
    """
    try:
        shares = tuple(sorted({float(word) for word in value.split(",")}))
    except ValueError:
        shares = (math.nan,)
    if not all(0 <= share < 1 for share in shares):
        raise UserError(
            f"{where} is {value!r}; it must be shares of a step's time with commas between them, like 0,0.03"
        )
    return shares


def load_json(text: str | bytes) -> Any:
    """Read JSON from a person or another program.

    Raises:
        ValueError: the text is no JSON, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
