"""Signals at random points of a run: Ctrl-C at any time, and every signal while servers and actors live."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from threading import Lock

from benchmarks.faults.people import command, in_a_repository
from benchmarks.faults.world import Ran, World

POINTS = 50
STORING = ("--perf-update", "more", "--perf-html", "auto")
RUNS: dict[str, tuple[str, ...]] = {
    "a run that stores": STORING,
    "a run of two workers": (*STORING, "-n", "2", "--perf-device", "cpu"),
    "a run beside a revision": ("--perf-ref", "other"),  # whose programs differ, so that it is measured
}
SHOT = ("a run that stores", "a run beside a revision")
SERVED = 0.5  # the share of a run's time, from its first server on, in which it measures
BEYOND = 1.1  # the last points lie after the expected end
LONGEST_GAP_S = 0.5  # the longest gap between two signals in quick succession
TOOK_S: dict[str, float] = {}  # the seconds of each kind of run without a fault
MEASURING = Lock()


def interrupted(kind: str, share: float, gap_s: float | None, group: bool) -> Callable[[World], Ran]:
    """A run that gets Ctrl-C.

    Args:
        kind: the kind of run.
        share: the share of such a run's time after which the signal comes.
        gap_s: the seconds until it comes again; ``None`` for a single signal.
        group: whether every process of the terminal gets it, or only pytest's own.
    """

    def act(world: World) -> Ran:
        in_a_repository(world)
        took_s = uninterrupted_s(world, kind)
        process = world.start(*RUNS[kind])
        for wait_s in (share * took_s, *(() if gap_s is None else (gap_s,))):
            time.sleep(wait_s)
            if process.poll() is None:
                (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        return world.end(process)

    return act


def uninterrupted_s(world: World, kind: str) -> float:
    """The seconds of a run without a fault; it is run only once."""
    with MEASURING:
        if kind not in TOOK_S:
            began = time.monotonic()
            world.run(*RUNS[kind])
            TOOK_S[kind] = time.monotonic() - began
    return TOOK_S[kind]


def shot(kind: str, number: int, share: float, chance: random.Random) -> Callable[[World], Ran]:
    """A run in which one server or actor gets a signal.

    Args:
        kind: the kind of the run.
        number: the number of the signal.
        share: the share of such a run's time, counted from the first server on, after which it comes.
        chance: the random choice of the process.
    """

    def act(world: World) -> Ran:
        in_a_repository(world)
        took_s = uninterrupted_s(world, kind)
        process = world.start(*RUNS[kind])
        world.wait_for(lambda: bool(servers(world)))
        time.sleep(share * took_s)
        if found := servers(world):
            with suppress(ProcessLookupError):
                os.kill(chance.choice(found), number)
        return world.end(process)

    return act


def servers(world: World) -> list[int]:
    """The servers and actors of a run."""
    return sorted(one for one in world.processes() if b"actor.server" in command(one))


def rows(seed: int) -> Iterator[tuple[str, str, str, str, Callable[[World], Ran]]]:
    """A row for each point, and for each signal; the same seed has the same points."""
    chance = random.Random(seed)
    for number in range(POINTS):
        kind = list(RUNS)[number % len(RUNS)]
        share, gap_s, group = chance.uniform(0, BEYOND), chance.uniform(0, LONGEST_GAP_S), chance.random() < 0.5
        twice = chance.random() < 0.5
        again = f", and {gap_s:.2f} s later" if twice else ""
        name = f"Ctrl-C {'for the group ' if group else ''}after {share:.0%} of {kind}{again} ({number + 1})"
        yield name, "Ctrl-C", "ends at once or whole", "", interrupted(kind, share, gap_s if twice else None, group)
    for kind in SHOT:
        for number in signal.Signals:
            share = chance.uniform(0, SERVED)
            name = f"{number.name} for a server or an actor after another {share:.0%} of {kind}"
            act = shot(kind, number, share, random.Random(f"{seed} {number}"))
            yield name, "servers", "passes whole or fails", "", act
