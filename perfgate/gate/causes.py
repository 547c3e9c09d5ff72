"""What moved in an upgrade, by cause: one entry for each architecture and root module, the worst first."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfgate.gate.attribution import grown_cells
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

# No modules of a model: what is counted there follows from the modules.
BESIDE = ("optimizer", "clipping", "inputs", "workspaces")
OUTER = ("model", "transformer", "base_model")  # names under which a head holds the model
LAYER = re.compile(r"(?<=\.)\d+(?=\.|$)")
Ledgers = tuple[Mapping[str, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Moved:
    """A metric of a case that got worse, or better.

    Attributes:
        architecture: of the case's model, or its program where that has none.
        ledgers: the reference's and the candidate's, empty where the case has none.
    """

    verdict: Verdict
    architecture: str
    ledgers: Ledgers = ({}, {})


@dataclass(frozen=True)
class Cause:
    """What moved in one root module of one architecture.

    Attributes:
        root: the module that moved most, with ``*`` for the number of a layer; empty where no module is known.
        verdicts: all that rests on it, those that moved most first.
    """

    architecture: str
    root: str
    verdicts: tuple[Verdict, ...]

    @property
    def cases(self) -> list[str]:
        """Ids of the cases that show it, those that moved most first."""
        return list(dict.fromkeys(verdict.case for verdict in self.verdicts))

    @property
    def worst(self) -> list[Verdict]:
        """For each metric the verdict that moved most."""
        found: dict[str, Verdict] = {}
        for verdict in self.verdicts:
            found.setdefault(verdict.metric, verdict)
        return list(found.values())

    @property
    def size(self) -> tuple[float, ...]:
        """What it is ranked by: how far its worst metrics moved, then how many cases show it."""
        return (*sorted(map(weight, self.worst), reverse=True)[:2], len(self.cases))


def weight(verdict: Verdict) -> float:
    """How much a move matters: a lost dry run hides everything else, a host sync stops a GPU; else it is the change."""
    if verdict.metric == "dry_run":
        return math.inf
    what = metric(verdict.metric)
    if what.each_counts and verdict.reference is not None and verdict.candidate is not None:
        return 1e6 * abs(verdict.candidate - verdict.reference)
    if verdict.reference == 0:
        return 1e3  # of nothing there is no share, and something is more than nothing
    change = abs(verdict.change or 0.0)
    # A half as much is as far from 1 as twice as much.
    return change if (verdict.change or 0.0) > 0 else 1 / max(1 - change, 1e-9) - 1


def causes(moved: Iterable[Moved]) -> list[Cause]:
    """Group what moved into the same direction by architecture and root module; the largest cause first.

    Args:
        moved: all of one direction.
    """
    by_case: dict[str, list[Moved]] = defaultdict(list)
    for found in moved:
        by_case[found.verdict.case].append(found)
    groups: dict[tuple[str, str], list[Verdict]] = defaultdict(list)
    for found_in_case in by_case.values():
        first = found_in_case[0]
        groups[first.architecture, root_of(found_in_case)] += [found.verdict for found in found_in_case]
    made = [
        Cause(architecture, root, tuple(sorted(verdicts, key=weight, reverse=True)))
        for (architecture, root), verdicts in groups.items()
    ]
    return sorted(made, key=lambda cause: cause.size, reverse=True)


def root_of(moved: Sequence[Moved]) -> str:
    """The module that what moved in one case comes from: the one with the largest shares of all metrics together.

    Where nothing else moved, what is told by file decides, such as Python's calls.
    """
    moved = [found for found in moved if not by_file(found.verdict.metric)] or moved
    shares: dict[str, float] = defaultdict(float)
    for found in moved:
        before, now = found.ledgers
        verdict = found.verdict
        if metric(verdict.metric).cells is None or (not verdict.reference and not verdict.candidate):
            continue
        sides = (before, now) if (verdict.change or 0.0) > 0 else (now, before)
        whole = max(verdict.reference or 0.0, 1.0)
        for (path, _), amount in grown_cells(verdict.metric, *sides).items():
            shares[module(path, found.architecture)] += (
                amount / whole * (1e6 if metric(verdict.metric).each_counts else 1)
            )
    inner = {path: share for path, share in shares.items() if path not in BESIDE}
    return max(inner, key=lambda path: (inner[path], path), default="") or ""


def by_file(name: str) -> bool:
    """Whether a metric is told by file, and not by module."""
    held = metric(name).cells
    return held is not None and held.by_file


def module(path: str, architecture: str) -> str:
    """A module's path as all models of an architecture have it: without the name of what holds it, any layer."""
    parts = path.split(".")
    while len(parts) > 1 and (parts[0] in OUTER or parts[0] == architecture):
        parts = parts[1:]
    if parts[0] in OUTER or parts[0] == architecture:
        return ""
    return LAYER.sub("*", ".".join(parts))
