"""Baselines that hold on every machine: exact metrics, for each pair of torch and transformers minor versions."""

import re
from collections.abc import Mapping
from pathlib import Path

from perfgate.records.baselines import Baseline
from perfgate.records.store import PORTABLE, Store

LIBRARIES = ("torch", "transformers")
PAIR = re.compile(r"torch-(\d+)\.(\d+)-transformers-(\d+)\.(\d+)")
Version = tuple[int, int]


def pair_of(versions: Mapping[str, str]) -> str:
    """The name of a pair of versions: ``torch-2.13-transformers-5.23``; ``unknown`` where one is not installed."""
    if not all(name in versions for name in LIBRARIES):
        return "unknown"
    return "-".join(f"{name}-{'.'.join(versions[name].split('.')[:2])}" for name in LIBRARIES)


def versions_of(pair: str) -> dict[str, Version]:
    """Major and minor version of each library of a pair; empty where its name is no pair's."""
    found = PAIR.fullmatch(pair)
    numbers = [int(part) for part in found.groups()] if found else []
    return {name: (numbers[at], numbers[at + 1]) for name, at in zip(LIBRARIES, (0, 2), strict=True) if numbers}


class PortableStore(Store):
    """Baselines of one pair of versions.

    Args:
        root: folder of all baselines.
        pair: as ``pair_of`` names it.
    """

    def __init__(self, root: Path, pair: str) -> None:
        super().__init__(root, f"{PORTABLE}/{pair}")
        self.pair = pair
        self._others: list[PortableStore] | None = None

    def held(self, case: str, workload: str) -> tuple[Baseline | None, str]:
        """What a case is held against, and the versions that it is of where they are not this pair's own.

        A pair that knows nothing of a case is held against the nearest pair that has this workload of it, and else
        against the nearest that has the case at all.

        Args:
            case: its id.
            workload: identity of what is measured.

        Returns:
            The baseline, if there is any, and other versions in words: ``transformers 5.23``, or empty.

        Raises:
            UserError: a file is damaged.
        """
        if own := self.get(case):
            return own, ""
        there = [(store, found) for store in self._nearest() if (found := store.get(case))]
        same = [pair for pair in there if pair[1].workload == workload]
        store, found = next(iter(same or there), (None, None))
        return found, since(store.pair, self.pair) if store else ""

    def _nearest(self) -> list["PortableStore"]:
        """The stores of all other pairs, the nearest one first."""
        if self._others is None:
            folder = self.root / PORTABLE
            names = [path.name for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
            self._others = [PortableStore(self.root, name) for name in nearest_first(names, self.pair)]
        return self._others


def nearest_first(names: list[str], pair: str) -> list[str]:
    """The other pairs, in the order in which a pair is held against them.

    The newest that is not newer comes first, as an upgrade is held against what it comes from. Behind those come the
    newer ones, of which the oldest is the nearest. Transformers counts before torch, because the models are its code.
    """
    here = versions_of(pair)
    others = {name: found for name in names if name != pair and here and (found := versions_of(name))}

    def age(name: str) -> list[Version]:
        return [others[name][library] for library in reversed(LIBRARIES)]

    older = {name for name, found in others.items() if all(found[library] <= here[library] for library in LIBRARIES)}
    return [*sorted(older, key=age, reverse=True), *sorted(set(others) - older, key=age)]


def since(before: str, now: str) -> str:
    """The versions of one pair that another pair does not have: ``torch 2.12, transformers 5.23``."""
    there, here = versions_of(before), versions_of(now)
    return ", ".join(
        f"{name} {version[0]}.{version[1]}" for name, version in there.items() if version != here.get(name)
    )
