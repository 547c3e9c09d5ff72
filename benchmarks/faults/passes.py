"""Signals for the actor of one pass of a case, and for one side of a duet."""

import json
import random
import signal
from collections.abc import Callable, Iterator, Sequence

from benchmarks.faults.people import in_a_repository
from benchmarks.faults.world import Ran, World

# The first launch of a pass, of all of a case counted from 1; those of the pass before, counters, fail in other rows.
PASSES = {"memory": 2, "time": 4}
FIRST_DUET = 3  # of the launches of a side
STEPS = 3  # that every pass takes
STORING = ("--perf-update", "more")
BESIDE = ("--perf-ref", "HEAD")
Hit = tuple[str, str]  # the pass and the side that the fault must hit
PLACES = (*PASSES, "candidate", "reference")
HARMLESS = (signal.SIGCHLD, signal.SIGCONT)
FATAL = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSEGV, signal.SIGSTOP)


def in_a_launch(how: str, step: int, launch: int, hit: Hit, arguments: Sequence[str]) -> Callable[[World], Ran]:
    """A run in which a step of one launch goes wrong; its run file must name that launch."""

    def act(world: World) -> Ran:
        world.arm(how, f"step-{step}", launch)
        ran = world.run(*arguments)
        lines = [json.loads(line) for path in world.run_files() for line in path.read_text().splitlines()]
        failed = {(line["pass"], line["side"]) for line in lines if line.get("kind") == "launch" and line.get("fault")}
        return ran if failed == {hit} else Ran(99, f"it was {failed} that failed, not {hit}\n{ran.output}")

    return act


def in_a_duet(how: str, side: str, step: int) -> Callable[[World], Ran]:
    """A run beside a revision, of whose first duet a step of one side goes wrong."""

    def act(world: World) -> Ran:
        programs = world.folder / "programs.py"
        armed = programs.read_text()
        calm = armed.replace('Path("armed")', 'Path("not armed")')
        programs.write_text(armed if side == "reference" else calm)
        in_a_repository(world)
        programs.write_text(calm if side == "reference" else armed)
        return in_a_launch(how, step, FIRST_DUET, ("time", side), BESIDE)(world)

    return act


def rows(seed: int) -> Iterator[tuple[str, str, str, str, Callable[[World], Ran]]]:
    """A row for each signal, in one pass after the other, and those that end most programs in every pass."""
    chance = random.Random(f"{seed} passes")
    for index, number in enumerate(one for one in signal.Signals if one not in HARMLESS):
        how = f"gets_{number.name.lower()}"
        for place in PLACES if number in FATAL else (PLACES[index % len(PLACES)],):
            step = chance.randint(1, STEPS)
            if place in PASSES:
                act = in_a_launch(how, step, PASSES[place], (place, "candidate"), STORING)
            else:
                act = in_a_duet(how, place, step)
            where = f"the {place} pass" if place in PASSES else f"the {place} in a duet"
            yield f"{how} in step {step} of {where}", "passes", "passes whole or fails", "", act
