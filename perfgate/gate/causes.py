"""Groups the changes of an upgrade by cause: one entry for each architecture and root module, the worst first."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from perfgate.gate.attribution import grown_cells
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

# Entries that are no modules of a model; what is counted there follows from the modules.
BESIDE = ("optimizer", "clipping", "inputs", "workspaces")
OUTER = ("model", "transformer", "base_model")  # names under which a model with a head holds its inner model
LAYER = re.compile(r"(?<=\.)\d+(?=\.|$)")
Ledgers = tuple[Mapping[str, Any], Mapping[str, Any]]


@dataclass(frozen=True)
class Moved:
    """A metric of a case that got worse, or better.

    Attributes:
        architecture: the architecture of the case's model, or its program if that has no model.
        ledgers: the reference's and the candidate's, empty if the case has none.
    """

    verdict: Verdict
    architecture: str
    ledgers: Ledgers = ({}, {})


@dataclass(frozen=True)
class Cause:
    """The changes that come from one root module of one architecture.

    Attributes:
        root: the module that moved most, with ``*`` for a layer's number; empty if no module is known.
        verdicts: the verdicts with this cause, largest change first.
    """

    architecture: str
    root: str
    verdicts: tuple[Verdict, ...]

    @property
    def cases(self) -> list[str]:
        """Ids of the affected cases, largest change first."""
        return list(dict.fromkeys(verdict.case for verdict in self.verdicts))

    @property
    def worst(self) -> list[Verdict]:
        """For each metric the verdict with the largest change."""
        found: dict[str, Verdict] = {}
        for verdict in self.verdicts:
            found.setdefault(verdict.metric, verdict)
        return list(found.values())

    @property
    def size(self) -> tuple[float, ...]:
        """The sort key: the changes of its two worst metrics, then the number of cases."""
        return (*sorted(map(weight, self.worst), reverse=True)[:2], len(self.cases))


def weight(verdict: Verdict) -> float:
    """The importance of a change.

    A lost dry run outweighs everything, then host syncs; otherwise the relative change counts.
    """
    if verdict.metric == "dry_run":
        return math.inf
    what = metric(verdict.metric)
    if what.each_counts and verdict.reference is not None and verdict.candidate is not None:
        return 1e6 * abs(verdict.candidate - verdict.reference)
    if verdict.reference == 0:
        return 1e3  # no ratio exists to 0, and this is far more than most changes
    change = abs(verdict.change or 0.0)
    # Half as much counts like twice as much.
    return change if (verdict.change or 0.0) > 0 else 1 / max(1 - change, 1e-9) - 1


def causes(moved: Iterable[Moved]) -> list[Cause]:
    """Group what moved into the same direction by architecture and root module; the largest cause first.

    Args:
        moved: changes of one direction, all worse or all better.
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
    """The module that caused a case's changes: the one with the largest shares of all metrics together.

    Metrics that are counted by file, such as Python's calls, decide only if no other metric moved.
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
    """Whether a metric is counted by file, and not by module."""
    held = metric(name).cells
    return held is not None and held.by_file


def module(path: str, architecture: str) -> str:
    """A module's path as all models of an architecture share it: without the holder's name, any layer as ``*``."""
    parts = path.split(".")
    while len(parts) > 1 and (parts[0] in OUTER or parts[0] == architecture):
        parts = parts[1:]
    if parts[0] in OUTER or parts[0] == architecture:
        return ""
    return LAYER.sub("*", ".".join(parts))
