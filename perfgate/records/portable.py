"""Baselines of exact metrics, which are the same on every machine with the same torch and transformers.

They are stored for each pair of minor versions of these two libraries.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from perfgate.records.baselines import Baseline
from perfgate.records.store import PORTABLE, Store

LIBRARIES = ("torch", "transformers")
PAIR = re.compile(r"torch-(\d+)\.(\d+)-transformers-(\d+)\.(\d+)")


def pair_of(versions: Mapping[str, str]) -> str:
    """The name of a pair of versions, as in ``torch-2.13-transformers-5.23``; ``unknown`` if a library is missing."""
    if not all(name in versions for name in LIBRARIES):
        return "unknown"
    return "-".join(f"{name}-{'.'.join(versions[name].split('.')[:2])}" for name in LIBRARIES)


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
