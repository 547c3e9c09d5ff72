"""Baselines of exact metrics, which are the same on every machine with the same torch and transformers.

They are stored for each pair of minor versions of these two libraries. Launches of dry runs have ``portable`` for their
device. Python's calls also depend on the version of Python and on the kind of device, so their launches have both for
their device: ``Python 3.11 on cpu``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch
from perfgate.records.store import PORTABLE, Store
from perfgate.shared.metrics import METRICS, metric

LIBRARIES = ("torch", "transformers")
PAIR = re.compile(r"torch-(\d+)\.(\d+)-transformers-(\d+)\.(\d+)")
Version = tuple[int, int]


def pair_of(versions: Mapping[str, str]) -> str:
    """The name of a pair of versions, as in ``torch-2.13-transformers-5.23``; ``unknown`` if a library is missing."""
    if not all(name in versions for name in LIBRARIES):
        return "unknown"
    return "-".join(f"{name}-{'.'.join(versions[name].split('.')[:2])}" for name in LIBRARIES)


def split(launches: Sequence[Launch]) -> tuple[list[Launch], list[Launch]]:
    """Split launches: the part that holds on this machine alone, and the part that holds on every machine.

    Counter launches are in both lists, each time with their metrics of that kind.
    """
    here = [share(launch, portable=False) for launch in launches if launch.pass_name != "dry"]
    everywhere = [
        launch if launch.pass_name == "dry" else share(launch, portable=True)
        for launch in launches
        if launch.pass_name == "dry" or (launch.details.findings.counted_under and not launch.invalid)
    ]
    return here, everywhere


def share(launch: Launch, portable: bool) -> Launch:
    """A launch with only its portable metrics and tables, or only the others."""
    findings = launch.details.findings
    tables = {row.cells.table for row in METRICS.values() if row.cells and row.portable and not row.dry}
    ledger = {name: table for name, table in findings.ledger.items() if (name in tables) == portable}
    told = replace(findings, ledger=ledger)
    if not portable:
        told = replace(told, counted_under="", uncounted="")
    metrics = {name: value for name, value in launch.metrics.items() if metric(name).portable == portable}
    return replace(launch, metrics=metrics).detailed(findings=told)


def versions_of(pair: str) -> dict[str, Version]:
    """The major and minor version of each library in a pair's name; empty if it is not the name of a pair."""
    found = PAIR.fullmatch(pair)
    numbers = [int(part) for part in found.groups()] if found else []
    return {name: (numbers[at], numbers[at + 1]) for name, at in zip(LIBRARIES, (0, 2), strict=True) if numbers}


class PortableStore(Store):
    """The baselines of one pair of versions.

    Args:
        root: the folder with all baselines.
        pair: the name of the pair, from ``pair_of``.
    """

    def __init__(self, root: Path, pair: str) -> None:
        super().__init__(root, f"{PORTABLE}/{pair}")
        self.pair = pair
        self._others: list[PortableStore] | None = None

    def held(self, case: str, workload: str) -> tuple[Baseline | None, str]:
        """The baseline that a case is compared with, and the other versions that it was measured with, if any.

        If this pair has no baseline of the case, the nearest pair with the same workload is taken, or else the nearest
        pair that has the case at all.

        Args:
            case: its id.
            workload: identity of the workload.

        Returns:
            The baseline or ``None``, and the other versions in words: ``transformers 5.23``, or empty.

        Raises:
            UserError: a file is damaged.
        """
        if own := self.get(case):
            return own, ""
        there = [(store, found) for store in self.nearest() if (found := store.get(case))]
        same = [pair for pair in there if pair[1].workload == workload]
        store, found = next(iter(same or there), (None, None))
        return found, since(store.pair, self.pair) if store else ""

    def nearest(self) -> list["PortableStore"]:
        """The stores of all other pairs, the nearest one first."""
        if self._others is None:
            folder = self.root / PORTABLE
            names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
            self._others = [PortableStore(self.root, name) for name in nearest_first(names, self.pair)]
        return self._others


def nearest_first(names: list[str], pair: str) -> list[str]:
    """The other pairs, nearest first.

    Older pairs come first, the newest of them at the top, because an upgrade is compared with the state before it.
    Newer pairs follow, the oldest of them first. Transformers counts before torch, because the models are its code.
    """
    here = versions_of(pair)
    others = {name: found for name in names if name != pair and here and (found := versions_of(name))}

    def age(name: str) -> list[Version]:
        return [others[name][library] for library in reversed(LIBRARIES)]

    older = {name for name, found in others.items() if all(found[library] <= here[library] for library in LIBRARIES)}
    return [*sorted(older, key=age, reverse=True), *sorted(set(others) - older, key=age)]


def since(before: str, now: str) -> str:
    """The versions in which one pair differs from another: ``torch 2.12, transformers 5.23``."""
    there, here = versions_of(before), versions_of(now)
    return ", ".join(
        f"{name} {version[0]}.{version[1]}" for name, version in there.items() if version != here.get(name)
    )
