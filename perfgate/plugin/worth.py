"""Orders the cases of a run with a time budget: the most informative ones first."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from perfgate.plugin.imports import changed_since, why_touched
from perfgate.plugin.options import Options
from perfgate.plugin.selection import is_case
from perfgate.plugin.target import Target
from perfgate.records.baselines import Baseline
from perfgate.records.runfile import read
from perfgate.shared.errors import UserError

MOVED = ("regressed", "improved", "invalid", "stale")


@dataclass(frozen=True)
class Known:
    """Facts about the cases that are known before a run.

    Attributes:
        baseline: returns the stored baseline of a case.
        software: the library versions of this run.
        locks: the names of files that pin libraries.
        moved: the cases that failed or moved in the last run.
        root: the folder of the repository.
    """

    baseline: Callable[[str], Baseline | None]
    software: Mapping[str, str]
    locks: Sequence[str]
    moved: frozenset[str]
    root: Path


def put_in_order(items: list[pytest.Item], options: Options, target: Target, software: Mapping[str, str]) -> None:
    """Put the most informative cases first, in the places that cases have among all items.

    Args:
        items: the items of the run.
        options: the options of the run.
        target: the device that it measures on.
        software: the library versions.
    """
    cases = [item for item in items if is_case(item)]
    if not cases or target.kind_found is None:
        return  # no baselines exist for a machine without a device
    root = cases[0].config.rootpath
    moved = moved_last(root / options.output)
    with target.store() as store:
        known = Known(store.get, software, options.locks, moved, root)
        ordered = iter(in_order(cases, lambda item: item.nodeid.removeprefix(f"{options.root}/"), known))
    items[:] = [next(ordered) if is_case(item) else item for item in items]


def in_order(items: Sequence[pytest.Item], case_of: Callable[[pytest.Item], str], known: Known) -> list[pytest.Item]:
    """Order cases by how much they can tell.

    Cases whose code or libraries changed since their baselines come first, then those that failed or moved in the last
    run, then those that were not measured for the longest time.
    """
    changes: dict[str, list[Path]] = {}

    def rank(item: pytest.Item) -> tuple[int, str]:
        case = case_of(item)
        baseline = known.baseline(case)
        if baseline is None:
            return (1 if case in known.moved else 2), ""
        if baseline.commit not in changes:
            changes[baseline.commit] = known_changes(known.root, baseline.commit)
        other = {name for name, version in baseline.software.items() if known.software.get(name, version) != version}
        if other or why_touched(item, changes[baseline.commit], known.locks):
            return 0, measured_at(baseline)
        return (1 if case in known.moved else 2), measured_at(baseline)

    return sorted(items, key=rank)


def known_changes(root: Path, commit: str) -> list[Path]:
    """The files that differ from a commit; empty if git cannot tell."""
    try:
        return changed_since(root, commit)
    except UserError:
        return []


def measured_at(baseline: Baseline) -> str:
    """The date of a case's last measurement in its baseline; such dates sort as texts."""
    return max((launch.date for launch in baseline.launches), default=baseline.date)


def moved_last(output: Path) -> frozenset[str]:
    """The cases that failed or moved in the newest run file of a folder; empty if it cannot be read."""
    files = sorted(output.glob("*.jsonl"), key=lambda path: path.stat().st_mtime_ns)
    try:
        verdicts = read(files[-1]).verdicts if files else ()
    except UserError:
        return frozenset()
    return frozenset(verdict.case for verdict in verdicts if verdict.verdict in MOVED)
