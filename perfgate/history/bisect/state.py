"""The file of a bisection, with its question and its decisions, so that an interruption costs at most one trial."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from perfgate.history.bisect.decisions import Decision
from perfgate.records.store import write_whole
from perfgate.shared.errors import UserError
from perfgate.shared.parsing import load_json


@dataclass
class State:
    """The state of a bisection.

    Attributes:
        path: the file that holds it.
        question: the question; another question has another file.
        metric: the followed metric; empty until the ends have been compared.
        dry: whether dry runs decide.
        workload: the digest of the case's workload; empty until something was run.
        end: the decision on the bad end, compared with the good one.
        others: the other metrics that got worse between the ends.
        decided: the decisions so far, in order.
        change: the first bad step compared with the last good one; this is measured last.
    """

    path: Path
    question: Mapping[str, Any]
    metric: str = ""
    dry: bool = True
    workload: str = ""
    end: Decision | None = None
    others: list[str] = field(default_factory=list)
    decided: list[Decision] = field(default_factory=list)
    change: Decision | None = None

    def save(self) -> None:
        """Write the file, completely or not at all."""
        decisions = {
            "end": self.end and self.end.to_json(),
            "change": self.change and self.change.to_json(),
            "decided": [one.to_json() for one in self.decided],
        }
        plain = {name: getattr(self, name) for name in ("question", "metric", "dry", "workload", "others")}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self.path, json.dumps({**plain, **decisions}, indent=1) + "\n")


def opened(folder: Path, question: Mapping[str, Any], afresh: bool) -> State:
    """The state of a bisection, from its file if it has one.

    Args:
        folder: the folder of such files.
        question: the question, as JSON values.
        afresh: whether to begin again.

    Raises:
        UserError: its file cannot be read.
    """
    digest = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:12]
    path = folder / f"bisect-{digest}.json"
    if afresh or not path.exists():
        return State(path, question)
    try:
        found = load_json(path.read_text(encoding="utf-8"))
        end, change = (found[name] and Decision.from_json(found[name]) for name in ("end", "change"))
        decided = [Decision.from_json(row) for row in found["decided"]]
        rest = (found["metric"], found["dry"], found["workload"], end, found["others"], decided, change)
        if not all(isinstance(text, str) for text in (found["metric"], found["workload"], *found["others"])):
            raise ValueError("it holds something else than names")
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path} cannot be read ({error}); begin again with --afresh") from None
    return State(path, question, *rest)
