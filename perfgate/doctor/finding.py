"""One thing that is true of a machine and matters to measuring on it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Level = Literal["ok", "note", "problem"]
LEVELS: tuple[Level, ...] = ("problem", "note", "ok")


@dataclass(frozen=True)
class Finding:
    """A sentence about the machine.

    Attributes:
        topic: what it is about: ``device``, ``noise``, ``software``, ...
        level: ``problem`` where no case can be measured until it is mended; ``note`` where numbers get worse by it, or
            something is left out; ``ok`` otherwise.
        text: one sentence.
        remedy: the command that helps; empty where there is none.
    """

    topic: str
    level: Level
    text: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        """As ``--json`` prints it."""
        return asdict(self)


def read_text(path: Path) -> str:
    """A file of the kernel without the space around it; empty where there is none, or it may not be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
