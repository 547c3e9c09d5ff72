"""Writes rows of equal layers as one row with a path such as ``h.{0-11}.mlp``, and separates them again."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import TypeVar

from perfgate.shared.parsing import whole

Value = TypeVar("Value")
FIRST_NUMBER = re.compile(r"(^|.*?\.)(0|[1-9]\d{0,8})(\..*|$)")
MANY = re.compile(r"\{([\d,-]+)\}")
MOST_LAYERS = 100_000


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
        numbers = numbers_in(found[1]) if found else []
        for number in numbers:
            result[MANY.sub(str(number), path, count=1)] = value
        if not numbers:
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
    """Read the numbers that ``ranges`` wrote between the braces; none if they cannot be layers of a model."""
    found: list[int] = []
    for first, dash, last in (part.partition("-") for part in text.split(",")):
        begin, end = whole(first), whole(last if dash else first)
        if begin is None or end is None or end - begin + len(found) >= MOST_LAYERS:
            return []
        found += range(begin, end + 1)
    return found
