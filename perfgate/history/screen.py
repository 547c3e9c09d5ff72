"""The screen: chooses the series of a block that deserve a closer look, many at once.

It drops only series in which ``changes_of`` and ``creep_of`` would find nothing.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from perfgate.history.blocks import Block
from perfgate.history.changes import RECENT, limit_of
from perfgate.history.segments import FEWEST, Values, bound, divisions, may_change, spread_and_run, without_outliers
from perfgate.history.table import metric_and_way
from perfgate.shared.metrics import metric

ROUNDING = 1e-9  # the logarithm of many values and that of one may differ in the last digit


def suspects(block: Block, alpha: float) -> list[int]:
    """The positions of the series that may have moved.

    Args:
        block: the block of series.
        alpha: each series' share of the whole history's alpha.
    """
    if not block.names:
        return []
    begins = block.starts[:-1]
    moving = np.maximum.reduceat(block.values, begins) != np.minimum.reduceat(block.values, begins)
    rows_of = {name: metric(metric_and_way(name)[0]) for name in {name for _, name in block.names}}
    exact = np.asarray([rows_of[name].exact for _, name in block.names])
    found = moving & exact
    levels = block.levels()
    for places in alike(block, moving & ~exact):
        limits = np.asarray([limit_of(rows_of[block.names[place][1]]) for place in places])
        rows = levels[begins[places][:, None] + np.arange(block.starts[places[0] + 1] - begins[places[0]])]
        found[places] = may_move(rows, alpha, limits)
    # The epoch of such a series can begin anywhere.
    found[np.searchsorted(block.starts, list(block.accepted), side="right") - 1] = True
    return [int(place) for place in np.flatnonzero(found & moving)]


def alike(block: Block, wanted: NDArray[np.bool_]) -> Iterator[NDArray[np.int64]]:
    """The positions of the wanted series, grouped by length."""
    lengths = np.diff(block.starts)
    for length in np.unique(lengths[wanted]):
        yield np.flatnonzero(wanted & (lengths == length))


def may_move(levels: Values, alpha: float, limits: Values) -> NDArray[np.bool_]:
    """Whether series of one length may have a change, or may have crept.

    Args:
        levels: a row for each series.
        alpha: each series' share of the whole history's alpha.
        limits: the relative distance that each series may move from its epoch.
    """
    count = levels.shape[-1]
    if count < FEWEST:
        return np.zeros(len(levels), dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(levels)
        series = without_outliers(logs)
        halves = divisions(series)
        spread, runs = spread_and_run(series, halves)
        stepped = may_change(series, spread, np.asarray([bound(alpha, count, float(run)) for run in runs]), halves)
        moved = np.log(np.median(levels[:, -RECENT:], axis=-1) / np.median(levels[:, :RECENT], axis=-1)) + ROUNDING
        smooth = np.max(np.abs(logs[:, RECENT:] - logs[:, :-RECENT]), axis=-1) <= moved / 2
    # A level of 0 has no logarithm, so it always gets the closer look.
    odd = ~np.isfinite(series).all(axis=-1) | (spread == 0)
    return np.asarray(odd | stepped | (moved > np.log1p(limits)) & smooth)
