"""Runs the passes of a case in order, and repeats disturbed launches."""

import time
from collections.abc import Callable, Container, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from perfgate.measure.passes import timed_bursts
from perfgate.measure.passes.counters import cold_counters_launch, counters_launch
from perfgate.measure.passes.dry import dry_launch
from perfgate.measure.passes.memory import memory_launch
from perfgate.measure.passes.timed import timed_launch
from perfgate.measure.pool import Pool
from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.records.launch import Launch, Side
from perfgate.shared.metric import PassName
from perfgate.shared.workload import Workload

MAX_RELAUNCHES = 2

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Pass:
    """One kind of launch.

    Attributes:
        name: the name of the pass in launches.
        word: the name of the pass for people.
        run: the function that takes a launch; its arguments are stage, case, workload, server and the number of the
            launch.
    """

    name: PassName
    word: str
    run: Callable[[Stage, str, Workload, Server, int], Launch]


COUNTERS = Pass("counters", "counters launch", counters_launch)
COLD_COUNTERS = Pass("counters", "counters launch", cold_counters_launch)
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
        stage: the stage with the device.
        case: the case's id.
        workload: the workload to run.
        progress: called with a few words when a launch begins.
    """
    launches = untimed(stage, case, workload, progress)
    if not stage.plan.timed or spoilt(launches):
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
    counters: Pass = COUNTERS,
) -> list[Launch]:
    """Run the untimed passes of one side: dry, counters, memory.

    If a dry run is not possible, its launch is marked invalid with the reason. There is no such launch if users would
    not expect a dry run of this program, for example because it does not use torch.

    Args:
        stage: the stage with the device.
        case: the case's id.
        workload: the workload to run.
        progress: called with a few words when a launch begins.
        side: the side of the launches.
        pool: the servers to fork from; by default those of the side.
        passes: names of the passes to run.
        agreeing: number of launches of the memory pass; by default that of the plan.
        counters: the counters pass, or ``COLD_COUNTERS``.
    """
    pool = pool or (stage.reference if side == "reference" and stage.reference else stage.pool)
    launched = [(counters, 1), (MEMORY, agreeing or stage.plan.memory_launches)]
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
    # On a GPU these passes wait until nobody else uses the device, and the dry run beside them waits too.
    held = stage.held(stage.untimed(workload)) if stage.device.bursts else nullcontext()
    with held, dry_launch(stage, case, workload, pool, side) as finished:
        found = real()
        dry, expected = finished()
    # If other settings are in force than requested, the dry run's prediction does not apply either.
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

    A disturbed launch is repeated at most twice, and a faulty one once. A launch is not repeated if another one would
    end in the same way.
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
