"""A finding: one fact about a machine that matters for measuring on it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Level = Literal["ok", "note", "problem"]
LEVELS: tuple[Level, ...] = ("problem", "note", "ok")


@dataclass(frozen=True)
class Finding:
    """One fact about the machine, in a sentence.

    Attributes:
        topic: its subject: ``device``, ``noise``, ``software``, ...
        level: ``problem`` if no case can be measured until it is solved; ``note`` if it makes numbers less exact or
            leaves something out; ``ok`` otherwise.
        text: the sentence.
        remedy: the command that helps; empty if there is none.
    """

    topic: str
    level: Level
    text: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints."""
        return asdict(self)


def read_text(path: Path) -> str:
    """The text of one of the kernel's files, stripped; empty if the file does not exist or cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
