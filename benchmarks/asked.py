"""Asks a benchmark's module in a process on an emulated card, and writes the answers as a table.

Such a module, run with the argument ``answers``, prints a JSON object on its last line: ``torch``, the version that
answered, and ``answers``.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from perfgate.measure.emulator.build import started_on
from perfgate.measure.emulator.profiles import PROFILES

ROOT = Path(__file__).parent.parent


def asked_on(card: str, module: str) -> dict[str, Any]:
    """The answers of a module in a process of its own, on the card of a profile."""
    environment = os.environ | dict(started_on(PROFILES[card]))
    command = [sys.executable, "-m", module, "answers"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def write_table(folder: Path, head: Mapping[str, Any], rows: Iterable[Any]) -> Path:
    """Write a file named after the version ``head["torch"]``, with a line for each row; return its path."""
    target = folder / f"{'.'.join(head['torch'].split('.')[:2])}.json"
    target.parent.mkdir(exist_ok=True)
    lines = ",\n".join(map(json.dumps, rows))
    target.write_text(json.dumps(head)[:-1] + f', "rows": [\n{lines}\n]}}\n')
    return target
