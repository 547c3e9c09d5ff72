"""Writes rows of equal layers as one row with a path such as ``h.{0-11}.mlp``, and separates them again."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

Value = TypeVar("Value")
FIRST_NUMBER = re.compile(r"(^|.*?\.)(0|[1-9]\d*)(\..*|$)")
MANY = re.compile(r"\{([\d,-]+)\}")


def collapsed(rows: Mapping[str, Value]) -> dict[str, Value]:
    """Merge rows with equal values whose paths differ only in the first number.

    Args:
        rows: JSON values by module path.
    """
    groups: dict[tuple[str, str, str], list[int]] = {}
    plain: dict[str, Value] = {}
    for path, value in rows.items():
        if found := FIRST_NUMBER.fullmatch(path):
            key = (found[1], found[3], json.dumps(value, sort_keys=True))
            groups.setdefault(key, []).append(int(found[2]))
        else:
            plain[path] = value
    layers = {
        f"{before}{ranges(numbers)}{after}": json.loads(value) for (before, after, value), numbers in groups.items()
    }
    return dict(sorted((plain | layers).items()))


def expanded(rows: Mapping[str, Value]) -> dict[str, Value]:
    """The opposite of ``collapsed``."""
    result: dict[str, Value] = {}
    for path, value in rows.items():
        found = MANY.search(path)
        for number in numbers_in(found[1]) if found else ():
            result[MANY.sub(str(number), path, count=1)] = value
        if not found:
            result[path] = value
    return result


def ranges(numbers: Iterable[int]) -> str:
    """``3`` for one number, ``{0-2,5}`` for more."""
    found = spans(numbers)
    return found[0] if len(found) == 1 and found[0].isdigit() else "{" + ",".join(found) + "}"


def spans(numbers: Iterable[int]) -> list[str]:
    """Numbers in rising order, with those that follow each other as one text: ``0-2``, ``5``."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return [str(first) if first == last else f"{first}-{last}" for first, last in runs]


def numbers_in(text: str) -> list[int]:
    """Read what ``ranges`` wrote between the braces."""
    pairs = [part.partition("-") for part in text.split(",")]
    return [number for first, dash, last in pairs for number in range(int(first), int(last if dash else first) + 1)]
