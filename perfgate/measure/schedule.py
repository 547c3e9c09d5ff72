"""The schedule of a case: which passes run, in which order, and when a launch is repeated."""

import time
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace

from perfgate.measure.passes import timed_bursts
from perfgate.measure.passes.counters import counters_launch
from perfgate.measure.passes.dry import dry_launch
from perfgate.measure.passes.memory import memory_launch
from perfgate.measure.passes.timed import timed_launch
from perfgate.measure.pool import Pool
from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.records.launch import Launch, Side
from perfgate.shared.metrics import PassName
from perfgate.shared.workload import Workload

MAX_RELAUNCHES = 2

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Pass:
    """One kind of launch.

    Attributes:
        name: as launches name it.
        word: for people.
        run: takes stage, case, workload, server and the launch's number.
    """

    name: PassName
    word: str
    run: Callable[[Stage, str, Workload, Server, int], Launch]


COUNTERS = Pass("counters", "counters launch", counters_launch)
MEMORY = Pass("memory", "memory launch", memory_launch)
TIME = Pass("time", "launch", timed_launch)
BURSTS = Pass("time", "launch", timed_bursts.timed_launch)
UNTIMED = ("dry", COUNTERS.name, MEMORY.name)


def spoilt(launches: Sequence[Launch]) -> bool:
    """Whether every launch of the last pass is invalid, so that further passes make no sense."""
    last = [launch for launch in launches if launch.pass_name == launches[-1].pass_name] if launches else []
    return bool(last) and last[0].pass_name != "dry" and all(launch.invalid for launch in last)


def measure(stage: Stage, case: str, workload: Workload, progress: Progress) -> list[Launch]:
    """Run all passes of a case: dry, counters, memory, then time.

    Args:
        stage: with the device.
        case: its id.
        workload: what to run.
        progress: told in words which launch begins.
    """
    launches = untimed(stage, case, workload, progress)
    if stage.plan.device == "none" or spoilt(launches):
        return launches
    timed = BURSTS if stage.device.bursts else TIME
    return launches + repeated(stage, case, workload, timed, stage.plan.launches, progress)


def untimed(
    stage: Stage,
    case: str,
    workload: Workload,
    progress: Progress,
    side: Side = "candidate",
    pool: Pool | None = None,
    passes: Container[str] = UNTIMED,
    agreeing: int = 0,
) -> list[Launch]:
    """Run the passes that take no time, of one side: dry, counters, memory.

    A dry run that is not possible is a launch marked invalid with the reason. It is left out where nobody would expect
    one, as of a program that has no dry counterpart.

    Args:
        stage: with the device.
        case: its id.
        workload: what to run.
        progress: told in words which launch begins.
        side: of which the launches are.
        pool: the servers they come from; the side's own, unless another pool is named.
        passes: names of the passes to run.
        agreeing: launches of the memory pass; as many as the plan says, unless it is named.
    """
    pool = pool or (stage.reference if side == "reference" and stage.reference else stage.pool)
    launched = [(COUNTERS, 1), (MEMORY, agreeing or stage.plan.memory_launches)]
    wanted = [] if stage.plan.device == "none" else [item for item in launched if item[0].name in passes]

    def real() -> list[Launch]:
        launches: list[Launch] = []
        for kind, number in wanted:
            if not spoilt(launches):
                launches += repeated(stage, case, workload, kind, number, progress, side, pool)
        return launches

    if "dry" not in passes:
        return real()
    progress("dry run")
    with dry_launch(stage, case, workload, pool.next(), side) as finished:
        beside = [] if stage.device.bursts else real()
        dry, expected = finished()
    # A pass on a GPU waits until nobody else is on the device, a dry run among them.
    found = real() if stage.device.bursts else beside
    # Where other settings are in force than were asked for, the prediction does not hold either.
    if wrong := next((launch for launch in found if launch.final), None):
        dry = dry.rejected(wrong.invalid or "")
    return ([dry] if expected or stage.plan.device == "none" else []) + found


def repeated(
    stage: Stage,
    case: str,
    workload: Workload,
    launched: Pass,
    wanted: int,
    progress: Progress,
    side: Side = "candidate",
    pool: Pool | None = None,
) -> list[Launch]:
    """Launch until enough launches are valid.

    A disturbed launch is repeated at most twice, a faulty one once, one that would end the same way never.
    """
    launches: list[Launch] = []
    while True:
        valid = sum(launch.invalid is None for launch in launches)
        faults = sum(launch.fault for launch in launches)
        final = any(launch.final for launch in launches)
        if valid >= wanted or faults > 1 or final or len(launches) >= wanted + MAX_RELAUNCHES:
            return launches
        progress(f"{launched.word} {valid + 1} of {wanted}")
        begin = time.perf_counter()
        launch = launched.run(stage, case, workload, (pool or stage.pool).next(), len(launches))
        launches.append(stage.dated(stage.judged(replace(launch, side=side)), begin))
