"""The traces of a run: the case, the side and the file of each."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perfgate.records.launch import Side
from perfgate.records.runfile import RunFile

KIND = "trace"
LONGEST_NAME = 100  # characters of a case's id in a file's name


@dataclass(frozen=True)
class Trace:
    """The trace of one side of a case.

    Attributes:
        file: its path relative to the run file's folder; empty if there is no trace.
        why: why there is none, as a clause.
    """

    case: str
    side: Side
    file: str = ""
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """The line of a run file."""
        return {"kind": KIND, "case": self.case, "side": self.side, "file": self.file, "why": self.why}

    @classmethod
    def from_json(cls, line: Mapping[str, Any]) -> "Trace":
        """Read a line that ``runfile`` has checked."""
        return cls(line["case"], line["side"], line["file"], line["why"])


def traces_of(run: RunFile) -> dict[str, list[Trace]]:
    """All traces of a run by case."""
    found: dict[str, list[Trace]] = {}
    for line in run.others:
        if line.get("kind") == KIND:
            found.setdefault(line["case"], []).append(Trace.from_json(line))
    return found


def file_name(case: str, side: Side) -> str:
    """The name of a trace's file: the case's id, shortened and in characters that every file system accepts."""
    told = re.sub(r"[^A-Za-z0-9_.-]+", "-", case).strip("-.")[-LONGEST_NAME:].lstrip("-.")
    return f"{told}-{hashlib.sha256(case.encode()).hexdigest()[:6]}.{side}.json.gz"
