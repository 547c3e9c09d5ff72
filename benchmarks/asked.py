"""Asks a benchmark's module in a process on an emulated card, and writes the answers as a table.

Such a module ends with ``answer_or``. Run with the argument ``answers``, it prints a JSON object on its last line:
``torch``, the version that answered, and ``answers``.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from perfgate.measure.emulator.build import started_on
from perfgate.measure.emulator.profiles import PROFILES

ROOT = Path(__file__).parent.parent


def answer_or(main: Callable[[], None], answers: Callable[[], Any], about: Callable[[], Mapping] = dict) -> None:
    """Run ``main``; in the process of ``asked_on`` print what ``answers`` and ``about`` return instead."""
    if sys.argv[1:] == ["answers"]:
        import torch

        print(json.dumps({"torch": torch.__version__, **about(), "answers": answers()}))
    else:
        main()


def asked_on(card: str, module: str) -> dict[str, Any]:
    """The answers of a module in a process of its own, on the card of a profile."""
    environment = os.environ | dict(started_on(PROFILES[card]))
    command = [sys.executable, "-m", module, "answers"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def table_of(
    folder: Path, module: str, cards: Sequence[str], questions: Sequence[Sequence], head: Mapping[str, Any]
) -> None:
    """Ask a module its questions on each card in a separate process, and write a row for each question.

    A row holds the question and each card's answer. The file's head has what the module says of itself, and ``head``.
    """
    told = [asked_on(card, module) for card in cards]
    answers = zip(*(one.pop("answers") for one in told), strict=True)
    rows = [[*row, *found] for row, found in zip(questions, answers, strict=True)]
    target = write_table(folder, {**told[0], **head}, rows)
    print(f"{len(rows)} questions on {len(told)} cards, written to {target}")


def write_table(folder: Path, head: Mapping[str, Any], rows: Iterable[Any]) -> Path:
    """Write a file named after the version ``head["torch"]``, with a line for each row; return its path."""
    target = folder / f"{'.'.join(head['torch'].split('.')[:2])}.json"
    target.parent.mkdir(exist_ok=True)
    lines = ",\n".join(map(json.dumps, rows))
    target.write_text(json.dumps(head)[:-1] + f', "rows": [\n{lines}\n]}}\n')
    return target
