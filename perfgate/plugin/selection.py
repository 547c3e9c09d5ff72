"""The selection of a run: the collected items that are cases, within its tier and its shard."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from perfgate.cases.dealing import deal, digest, expected_s
from perfgate.plugin.marks import check_marker
from perfgate.plugin.namesakes import builders_of, names_of
from perfgate.plugin.options import Options
from perfgate.workloads.models.model import TIERS
from perfgate.workloads.programs import DRY_RUN, OF_FIXTURE, modules_of, noisy_metrics

CHOSEN = "standard"


@dataclass(frozen=True)
class Selection:
    """The selected cases of one run.

    Attributes:
        cases: the number of cases that all of xdist's workers measure.
        pairs: the number of gated times of all cases within the tier, selected or not; the chance of a false alarm is
            divided among them.
        preload: the modules that fork servers import in advance.
        needs_libraries: whether any case runs one of Perfgate's own programs.
        digest: the digest of the deal of cases to shards.
        identity: the digest of what the tries of a fleet's shard have in common; empty in a run of no fleet.
    """

    cases: int
    pairs: int
    preload: tuple[str, ...]
    needs_libraries: bool
    digest: str
    identity: str = ""


def select(
    items: Iterable[pytest.Item], pairs: int, options: Options, digest: str = "", identity: str = ""
) -> Selection:
    """The selection after every plugin has deselected items.

    Args:
        items: the items that will run.
        pairs: the number of gated times of all cases within the tier.
        options: the options of the run.
        digest: the digest of the deal of cases to shards.
        identity: the digest of what the tries of a fleet's shard have in common.
    """
    cases = [item for item in items if is_case(item)]
    used = {name for item in cases for name in fixtures_of(item)}
    programs = [program for fixture, ids in OF_FIXTURE.items() if fixture in used for program in ids]
    # With a reference no yardstick runs, and both sides import the same modules.
    modules = modules_of(programs if options.reference else [*programs, "yardstick.cpu"])
    preload = (*modules, *([DRY_RUN] if programs else []), *options.preload)
    return Selection(len(cases), pairs, preload, bool(programs), digest, identity)


def check_marks(cases: Iterable[pytest.Item]) -> None:
    """Refuse arguments of ``@pytest.mark.perf`` that do not exist.

    Raises:
        UserError: the message has the case and the argument.
    """
    for item in cases:
        for marker in item.iter_markers("perf"):
            check_marker(item.nodeid, marker.args, dict(marker.kwargs))


def within_tier(cases: Iterable[pytest.Item], tier: str) -> list[pytest.Item]:
    """The cases in a tier.

    Each tier contains the smaller ones, with one exception: if a suite marks cases as ``standard``, that tier is these
    cases alone, because shapes that suit a CPU keep no GPU busy.
    """
    cases = list(cases)
    if tier == CHOSEN and (chosen := [item for item in cases if marked_tier(item) == CHOSEN]):
        return chosen
    limit = TIERS.index(tier)
    return [item for item in cases if TIERS.index(tier_of(item)) <= limit]


def gated_pairs(cases: Iterable[pytest.Item], on_gpu: bool = False) -> int:
    """The number of times of these cases that are compared with a baseline or a reference.

    Args:
        cases: the cases of the tier.
        on_gpu: whether the device works while the host goes on.
    """
    gated = [fixtures_of(item) for item in cases if "perf" in fixtures_of(item)]
    return sum(len(noisy_metrics(names, on_gpu)) for names in gated)


def in_shard(
    cases: Sequence[pytest.Item], shard: tuple[int, int], durations: Mapping[str, float], at_once: int = 0
) -> tuple[list[pytest.Item], str]:
    """The cases of one shard, and a digest of the deal; without shards all cases, and an empty digest.

    Args:
        cases: the cases of all shards.
        shard: the number of the shard, and the number of shards.
        durations: stored durations by node id, in seconds.
        at_once: how many shards run at once; 0 for all.
    """
    number, count = shard
    if count == 1:
        return list(cases), ""
    expected = expected_s([item.nodeid for item in cases], durations)
    unknown = {case for case in expected if case not in durations}
    mine = set(deal(expected, count, at_once, unknown)[number - 1])
    return [item for item in cases if item.nodeid in mine], digest(expected, count, at_once)


def is_case(item: pytest.Item) -> bool:
    """Whether an item measures something, or makes a workload that it may have forgotten to measure."""
    return bool({"perf", "effect"} & set(fixtures_of(item)) or builders_of(item))


def fixtures_of(item: pytest.Item) -> list[str]:
    """The names of all fixtures that an item uses, without foreign fixtures called ``perf`` or ``effect``."""
    return names_of(item)


def marked_tier(item: pytest.Item) -> str:
    """The largest tier in a case's marks."""
    named: list[str] = [marker.kwargs["tier"] for marker in item.iter_markers("perf") if "tier" in marker.kwargs]
    return max([TIERS[0], *named], key=TIERS.index)


def tier_of(item: pytest.Item) -> str:
    """The tier of a case: the larger one of its marks' tier and its model's."""
    callspec = getattr(item, "callspec", None)
    models: list[str] = [
        value.tier for value in (callspec.params.values() if callspec else ()) if hasattr(value, "tier")
    ]
    return max([marked_tier(item), *models], key=TIERS.index)


def marks_of(item: pytest.Item) -> dict[str, Any]:
    """The arguments of all ``perf`` marks of an item; the closest mark wins."""
    found: dict[str, Any] = {}
    for marker in item.iter_markers("perf"):
        found = {**marker.kwargs, **found}
    return found
