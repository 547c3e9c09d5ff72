"""Deals cases out to shards by how long they take, the same way for everybody who has the same data."""

import hashlib
import heapq
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path

UNKNOWN_S = 1.0  # where nothing is known of any case


def expected_s(cases: Sequence[str], durations: Mapping[str, float]) -> dict[str, float]:
    """How many seconds each case should take: what is stored, else the median of its technique, else of all.

    Args:
        cases: their ids.
        durations: the stored ones, in seconds.
    """
    techniques: dict[str, list[float]] = {}
    for case in cases:
        if case in durations:
            techniques.setdefault(technique_of(case), []).append(durations[case])
    usual = {name: statistics.median(known) for name, known in techniques.items()}
    every = statistics.median(durations.values()) if durations else UNKNOWN_S
    return {case: durations.get(case, usual.get(technique_of(case), every)) for case in cases}


def technique_of(case: str) -> str:
    """The technique that a case belongs to: the name of its file."""
    return Path(case.partition("::")[0]).stem


def deal(expected: Mapping[str, float], shards: int) -> list[list[str]]:
    """The cases of each shard: the longest case goes to the least loaded shard, and so on.

    Args:
        expected: the seconds of each case.
        shards: how many there are.
    """
    loads = [(0.0, 0, number) for number in range(shards)]
    dealt: list[list[str]] = [[] for _ in range(shards)]
    for case in sorted(expected, key=lambda case: (-expected[case], case)):
        # Where cases take no time, the number of cases decides.
        load, count, number = heapq.heappop(loads)
        dealt[number].append(case)
        heapq.heappush(loads, (load + expected[case], count + 1, number))
    return dealt


def digest(expected: Mapping[str, float], shards: int) -> str:
    """A digest of what was dealt, by which shards know that they are of one deal."""
    text = json.dumps([shards, sorted(expected.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
