"""The trace of a dry step, allocation by allocation and operator by operator, from which other batches are computed.

A step of another batch size calls the same operators in the same order. Two traces of one step, of two batch sizes,
therefore give the size of every allocation, and the work of every operator, for all batch sizes between them.
"""

from bisect import bisect
from dataclasses import astuple
from typing import Any

from perfgate.actor.dry_run.caching_allocator import peaks
from perfgate.actor.dry_run.cpu_rules import CpuRules
from perfgate.actor.dry_run.storages import OPTIMIZER, Allocation, Storages
from perfgate.actor.dry_run.tracker import Tracker
from perfgate.shared.metrics import PARTS

NEVER = -1


def trace_of(storages: Storages, since: int, charges: list[tuple[str, int, int, str]], workspace_bytes: int) -> Any:
    """The trace of a step as JSON, in columns.

    ``asked_bytes``, ``freed`` and ``parts`` have a row for each allocation, in the order of allocation. ``freed`` is
    the number of allocations that were made before its release: releases between the same two allocations commute,
    and their order differs from one dry run to the next. ``groups``, ``flops``, ``moved_bytes`` and ``dtypes`` have a
    row for each operator. ``reductions`` has a row for each sum or mean: the number of its temporary allocation, whose
    size does not grow in a straight line, and what its size follows from.

    Args:
        storages: the allocations.
        since: the number of the last event before the step.
        charges: the operators, as the tracker kept them.
        workspace_bytes: memory that libraries hold besides all tensors.
    """
    made = storages.in_order()
    return {
        "block_bytes": storages.block_bytes,
        "workspace_bytes": workspace_bytes,
        "before": sum(allocation.born <= since for allocation in made),
        "asked_bytes": [allocation.asked_bytes for allocation in made],
        "freed": freed(made),
        "parts": [PARTS.index(allocation.what) for allocation in made],
        "reductions": [[at, *astuple(one)] for at, allocation in enumerate(made) if (one := allocation.reduction)],
        "groups": [group for group, *_ in charges],
        "flops": [flops for _, flops, *_ in charges],
        "moved_bytes": [moved for *_, moved, _ in charges],
        "dtypes": [dtype for *_, dtype in charges],
    }


def freed(made: list[Allocation]) -> list[int]:
    """For each allocation, the number of allocations made before its release; -1 if it was not released."""
    found = [NEVER] * len(made)
    deaths = sorted((allocation.died, at) for at, allocation in enumerate(made) if allocation.died is not None)
    count = 0
    for died, at in deaths:
        while count < len(made) and made[count].born < died:
            count += 1
        found[at] = count
    return found


def in_blocks(tracker: Tracker, rules: CpuRules) -> dict[str, int]:
    """The most bytes that the device's allocator hands out and reserves in a step."""
    made = tracker.storages.in_order()
    born = [allocation.born for allocation in made]
    before = bisect(born, tracker.since)
    taken = ((rules.handle_bytes, tracker.multiplying), (rules.bias_bytes, tracker.biased))
    held = [(bisect(born, when), size) for size, events in taken for when in events.values()]
    optimizing = [when for when, phase in tracker.storages.phases if phase == OPTIMIZER]
    state = [at for at in range(before) if made[at].what == "optimizer_state"]
    made_first = {at: bisect(born, optimizing[0]) for at in state} if optimizing else {}
    return peaks([allocation.asked_bytes for allocation in made], freed(made), before, held, made_first)
