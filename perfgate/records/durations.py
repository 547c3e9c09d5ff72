"""The seconds of each test, as pytest-split stores them: a JSON object from node ids to seconds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfgate.records.store import write_whole
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json

DURATIONS = ".test_durations"  # the file in which pytest-split keeps them


def read_durations(path: Path) -> dict[str, float]:
    """Read stored durations; a file that does not exist has none.

    Raises:
        UserError: the file is damaged.
    """
    try:
        found: Any = load_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: stored durations cannot be read ({error}); remove it, or write it again") from None
    if isinstance(found, list):  # an older form of pytest-split
        pairs = (pair for pair in found if isinstance(pair, list) and len(pair) == 2)
        found = {name: value for name, value in pairs if isinstance(name, str)}
    if not isinstance(found, dict):
        raise UserError(f"{path}: is no object from node ids to seconds; remove it, or write it again")
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
            raise UserError(f"{path}: {name} takes {value!r}, which is no number of seconds; remove that line")
    return {str(name): float(value) for name, value in found.items()}


def write_durations(path: Path, durations: Mapping[str, float]) -> None:
    """Store durations; those of other tests in the file stay.

    Raises:
        UserError: the file cannot be read or written.
    """
    stored = read_durations(path) | {name: round(value, 3) for name, value in durations.items()}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(dict(sorted(stored.items())), indent=4) + "\n")
    except OSError as error:
        raise UserError(f"{path}: durations cannot be written: {error.strerror}") from None
