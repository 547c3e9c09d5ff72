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


def pair_of(versions: Mapping[str, str]) -> str:
    """The name of a pair of versions, as in ``torch-2.13-transformers-5.23``; ``unknown`` if a library is missing."""
    if not all(name in versions for name in LIBRARIES):
        return "unknown"
    return "-".join(f"{name}-{'.'.join(versions[name].split('.')[:2])}" for name in LIBRARIES)


def split(launches: Sequence[Launch]) -> tuple[list[Launch], list[Launch]]:
    """What launches tell that holds on this machine alone, and what holds on every machine.

    Those of the counters tell both, so they are in both lists, each time with their share.
    """
    here = [share(launch, portable=False) for launch in launches if launch.pass_name != "dry"]
    everywhere = [
        launch if launch.pass_name == "dry" else share(launch, portable=True)
        for launch in launches
        if launch.pass_name == "dry" or (launch.details.findings.counted_under and not launch.invalid)
    ]
    return here, everywhere


def share(launch: Launch, portable: bool) -> Launch:
    """A launch with those of its metrics and tables that hold on every machine, or with the others."""
    findings = launch.details.findings
    tables = {row.cells.table for row in METRICS.values() if row.cells and row.portable and not row.dry}
    ledger = {name: table for name, table in findings.ledger.items() if (name in tables) == portable}
    told = replace(findings, ledger=ledger)
    if not portable:
        told = replace(told, counted_under="", uncounted="")
    metrics = {name: value for name, value in launch.metrics.items() if metric(name).portable == portable}
    return replace(launch, metrics=metrics).detailed(findings=told)


class PortableStore(Store):
    """The baselines of one pair of versions.

    Args:
        root: the folder with all baselines.
        pair: the name of the pair, from ``pair_of``.
    """

    def __init__(self, root: Path, pair: str) -> None:
        super().__init__(root, f"{PORTABLE}/{pair}")
        self.pair = pair
        self._neighbours: list[PortableStore] | None = None

    def nearest(self, case: str, workload: str) -> tuple[str, Baseline] | None:
        """The same workload under the nearest other pair of versions, and that pair's name.

        Raises:
            UserError: a file of another pair is damaged.
        """
        if self._neighbours is None:
            folder = self.root / PORTABLE
            names = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
            others = [name for name in names if name != self.pair and PAIR.fullmatch(name)]
            # Of two that are as near the older one: an upgrade is held against what it comes from.
            ranked = sorted(others, key=lambda name: (distance(name, self.pair), numbers(name)))
            self._neighbours = [PortableStore(self.root, name) for name in ranked]
        for store in self._neighbours:
            found = store.get(case)
            if found is not None and found.workload == workload:
                return store.pair, found
        return None


def distance(one: str, other: str) -> tuple[int, ...]:
    """The distance of two pairs: the difference of major versions first, then of minor versions."""
    a, b = numbers(one), numbers(other)
    if not (a and b):
        return (1 << 30,)
    gaps = [abs(x - y) for x, y in zip(a, b, strict=True)]
    return gaps[0] + gaps[2], gaps[1] + gaps[3]


def numbers(name: str) -> list[int]:
    """The major and minor versions in a pair's name, in their order; empty if it is not the name of a pair."""
    found = PAIR.fullmatch(name)
    return [int(part) for part in found.groups()] if found else []
