"""The selection of a run: which of the collected items are cases, within its tier and its shard."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from perfgate.cases.dealing import deal, digest, expected_s
from perfgate.plugin.namesakes import builders_of, names_of
from perfgate.plugin.options import Options, check_marker
from perfgate.workloads.models.model import TIERS
from perfgate.workloads.programs import DRY_RUN, OF_FIXTURE, modules_of, noisy_metrics

CHOSEN = "standard"


@dataclass(frozen=True)
class Selection:
    """The cases of one run.

    Attributes:
        cases: how many are to be measured, by all of xdist's workers.
        pairs: gated times of all cases within the tier, selected or not, among which the chance of a false alarm is
            divided.
        preload: modules that the fork servers import ahead.
        needs_libraries: whether any case runs one of Perfgate's own programs.
        digest: of what was dealt to the shards.
    """

    cases: int
    pairs: int
    preload: tuple[str, ...]
    needs_libraries: bool
    digest: str


def select(items: Iterable[pytest.Item], pairs: int, options: Options, digest: str = "") -> Selection:
    """The selection that is left after every plugin deselected items.

    Args:
        items: those that are to run.
        pairs: gated times of all cases within the tier.
        options: of the run.
        digest: of what was dealt to the shards.
    """
    cases = [item for item in items if is_case(item)]
    used = {name for item in cases for name in fixtures_of(item)}
    programs = [program for fixture, ids in OF_FIXTURE.items() if fixture in used for program in ids]
    # Beside a reference no yardstick is stepped, and both sides import the same.
    modules = modules_of(programs if options.reference else [*programs, "yardstick.cpu"])
    preload = (*modules, *([DRY_RUN] if programs else []), *options.preload)
    return Selection(len(cases), pairs, preload, bool(programs), digest)


def check_marks(cases: Iterable[pytest.Item]) -> None:
    """Refuse marks that ``perf`` does not know.

    Raises:
        UserError: naming the case and the argument.
    """
    for item in cases:
        for marker in item.iter_markers("perf"):
            check_marker(item.nodeid, marker.args, dict(marker.kwargs))


def within_tier(cases: Iterable[pytest.Item], tier: str) -> list[pytest.Item]:
    """The cases that a run of this tier measures.

    Tiers contain each other, except that a suite may choose its cases for GPUs: where some are marked ``standard``,
    that tier is those alone, since shapes that suit a CPU keep no GPU busy.
    """
    cases = list(cases)
    if tier == CHOSEN and (chosen := [item for item in cases if marked_tier(item) == CHOSEN]):
        return chosen
    limit = TIERS.index(tier)
    return [item for item in cases if TIERS.index(tier_of(item)) <= limit]


def gated_pairs(cases: Iterable[pytest.Item], on_gpu: bool = False) -> int:
    """How many times of these cases are held against a baseline or a reference.

    Args:
        cases: those of the tier.
        on_gpu: whether the device works while the host goes on.
    """
    gated = [fixtures_of(item) for item in cases if "perf" in fixtures_of(item)]
    return sum(len(noisy_metrics(names, on_gpu)) for names in gated)


def in_shard(
    cases: Sequence[pytest.Item], shard: tuple[int, int], durations: Mapping[str, float], at_once: int = 0
) -> tuple[list[pytest.Item], str]:
    """The cases of one shard, and a digest of the deal; all of them, and none, where nothing is divided.

    Args:
        cases: those of all shards.
        shard: the number of the shard, and how many there are.
        durations: stored ones by node id, in seconds.
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
    """Whether an item measures anything, or makes a workload that it may have forgotten to measure."""
    return bool({"perf", "effect"} & set(fixtures_of(item)) or builders_of(item))


def fixtures_of(item: pytest.Item) -> list[str]:
    """Names of all fixtures that an item uses; one of another that is called ``perf`` or ``effect`` is left out."""
    return names_of(item)


def marked_tier(item: pytest.Item) -> str:
    """The largest tier that a case's marks name."""
    named: list[str] = [marker.kwargs["tier"] for marker in item.iter_markers("perf") if "tier" in marker.kwargs]
    return max([TIERS[0], *named], key=TIERS.index)


def tier_of(item: pytest.Item) -> str:
    """The size of a case: the larger of its marks' tier and its model's."""
    callspec = getattr(item, "callspec", None)
    models: list[str] = [
        value.tier for value in (callspec.params.values() if callspec else ()) if hasattr(value, "tier")
    ]
    return max([marked_tier(item), *models], key=TIERS.index)


def marks_of(item: pytest.Item) -> dict[str, Any]:
    """The arguments of all perf marks of an item; those of the closest mark win."""
    found: dict[str, Any] = {}
    for marker in item.iter_markers("perf"):
        found = {**marker.kwargs, **found}
    return found
