"""Deals cases out to shards by how long they take, the same way for everybody who has the same data."""

import hashlib
import heapq
import json
import math
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

UNKNOWN_S = 1.0  # the assumed seconds of a case if no duration is stored at all
START_S = 30.0  # the seconds that a shard needs for imports and for the first use of the device
MOST_ROUNDS = 6
BLIND_ROUNDS = 4  # the rounds of shards if no duration is stored


def expected_s(cases: Sequence[str], durations: Mapping[str, float]) -> dict[str, float]:
    """The expected seconds of each case: its stored duration, else the mean of its technique, else the mean of all.

    It is the mean, since durations of several cases are added up, and a few long cases weigh more than many short ones.

    Args:
        cases: their ids.
        durations: the stored durations, in seconds.
    """
    techniques: dict[str, list[float]] = {}
    for case in cases:
        if case in durations:
            techniques.setdefault(technique_of(case), []).append(durations[case])
    usual = {name: statistics.fmean(known) for name, known in techniques.items()}
    every = statistics.fmean(durations.values()) if durations else UNKNOWN_S
    return {case: durations.get(case, usual.get(technique_of(case), every)) for case in cases}


def technique_of(case: str) -> str:
    """The technique that a case belongs to: the name of its file."""
    return Path(case.partition("::")[0]).stem


def deal(
    expected: Mapping[str, float], shards: int, at_once: int = 0, unknown: Collection[str] = ()
) -> list[list[str]]:
    """The cases of each shard: the longest case goes to the shard with the most room, and so on.

    All shards have the same room if they run at once. If only some do, a scheduler starts the next one as soon as
    one ends. Then each round of shards has half of the room of the round before, so the last ones fill the gaps that
    the first ones leave. What may end late begins first: cases that are longer than any room, and then a round in which
    the cases are whose duration is not stored, with little else beside them.

    Args:
        expected: the expected seconds of each case.
        shards: the number of shards.
        at_once: how many shards run at once; 0 for all.
        unknown: the cases whose seconds are a guess.
    """
    at_once = min(at_once or shards, shards)
    rounds = [range(begin, min(begin + at_once, shards)) for begin in range(0, shards, at_once)]
    shares = [0.5 ** (number // at_once) for number in range(shards)]
    even = math.fsum(expected.values()) / sum(shares)  # fsum is exact, so the order of the cases does not matter
    room = [even * share for share in shares]
    dealt: list[list[str]] = [[] for _ in range(shards)]

    def give(cases: Iterable[str], to: Iterable[int]) -> None:
        # Among cases that take no time, their number decides.
        roomy = [(-room[number], len(dealt[number]), number) for number in to]
        heapq.heapify(roomy)
        for case in sorted(cases, key=lambda case: (-expected[case], case)):
            _, held, number = heapq.heappop(roomy)
            dealt[number].append(case)
            room[number] -= expected[case]
            heapq.heappush(roomy, (-room[number], held + 1, number))

    guessed = {case for case in unknown if case in expected} if len(unknown) < len(expected) else set()
    long = {case for case, took_s in expected.items() if case not in guessed and took_s > even}
    guessed_s = math.fsum(expected[case] for case in guessed)
    enough = [numbers for numbers in rounds if sum(room[number] for number in numbers) >= guessed_s]
    risky = enough[-1] if guessed and enough else rounds[0]
    give(long, rounds[0])
    give(guessed, risky)
    give(expected.keys() - guessed - long, range(shards))
    order = sorted(range(shards), key=lambda number: (long.isdisjoint(dealt[number]), number not in risky))
    return [dealt[number] for number in order]


def shards_for(durations: Mapping[str, float], at_once: int) -> int:
    """The number of shards that keeps all machines busy to the end.

    More shards cost more starts, and make the last one shorter.

    Args:
        durations: the stored durations of the suite, in seconds.
        at_once: the number of machines.
    """
    if at_once == 1:
        return 1
    if not durations:
        return at_once * BLIND_ROUNDS
    work_s = sum(durations.values()) / at_once

    def lost_s(rounds: int) -> float:
        last_s = work_s / (2.0**rounds - 1)  # each round takes half as long as the round before
        return START_S * rounds + last_s

    return at_once * min(range(1, MOST_ROUNDS + 1), key=lost_s)


def digest(expected: Mapping[str, float], shards: int, at_once: int = 0) -> str:
    """A digest of a deal; shards with equal digests belong to the same deal."""
    text = json.dumps(["2", shards, at_once, sorted(expected.items())])  # the version of this way of dealing is 2
    return hashlib.sha256(text.encode()).hexdigest()[:16]
