"""The duet: two actors stepped in turn on the same core, so that the machine disturbs both alike."""

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from perfgate.measure.actor import Actor, LaunchFailed
from perfgate.measure.disturbance import ALLOWED_SHARE
from perfgate.measure.placement import ranks_of
from perfgate.measure.pool import Pool
from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.measure.steps import (
    Warmth,
    burst_steps,
    columns,
    completed,
    failed,
    on_core,
    steps_by_themselves,
    warmed_up,
    with_host_time,
)
from perfgate.measure.validity import contended_by_clock, drift, settled, undelayed, unsteady
from perfgate.records.clocks import STEP, Value
from perfgate.records.details import Details, Turns
from perfgate.records.launch import Launch, Side
from perfgate.shared.workload import Workload

MIN_STEPS, MAX_STEPS = 20, 60
FAR, FAR_STEPS = 2.0, 6  # if one side takes twice the time of the other, few steps are enough to show it
FILLED_S = 3.0
BURSTS_S = 2.0  # the bursts of a side fill at most this time, unless even a few of them take longer
RELAUNCHES = 2
DEVICE_TIME = ("device",)  # the measurements in steps by themselves


@dataclass(frozen=True)
class DuetSide:
    """One side of a duet.

    Attributes:
        side: ``reference`` or ``candidate``.
        pool: the servers that its actors are forked from.
        workload: the workload that it runs.
        slowdown: slowdown to add to each step, to see whether the gate finds it; 0.03 is 3%.
        filled_s: seconds to fill with steps of both sides, within bounds on their number; the same for both sides.
        min_steps: the lower bound on the number of steps.
    """

    side: Side
    pool: Pool
    workload: Workload
    slowdown: float = 0.0
    filled_s: float = FILLED_S
    min_steps: int = MIN_STEPS


def duet(stage: Stage, case: str, pair: int, parts: Sequence[DuetSide], first_number: int = 0) -> list[Launch]:
    """Take one duet. If the machine disturbs it, it is repeated at most twice.

    Args:
        stage: the stage with the device.
        case: the case's id.
        pair: the number of the duet within the case; it decides which servers are used and which side begins.
        parts: the two sides, reference and candidate.
        first_number: the number of the first attempt's launches.

    Returns:
        The two launches of each attempt; only those of the last attempt can be valid.
    """
    launches: list[Launch] = []
    for attempt in range(1 + RELAUNCHES):
        begin = time.perf_counter()
        found = attempted(stage, case, pair, parts, first_number + attempt)
        launches += [stage.dated(launch, begin) for launch in found]
        if any(launch.fault for launch in found) or not any(launch.invalid for launch in found):
            break
    return launches


def attempted(stage: Stage, case: str, pair: int, parts: Sequence[DuetSide], number: int) -> list[Launch]:
    """Take one attempt at a duet. If both sides do not fit into memory together, they run one after the other."""
    servers = pair_of_servers(parts, pair)
    found = together(stage, case, pair, parts, servers, number)
    if any(launch.out_of_memory for launch in found):
        return apart(stage, case, pair, parts, servers, number)
    return found


def pair_of_servers(parts: Sequence[DuetSide], pair: int) -> list[Server]:
    """Two different servers for the two sides. Over several duets, all pairs of servers are used."""
    reference, candidate = parts
    if reference.pool is candidate.pool:
        return [reference.pool.at(pair), candidate.pool.at(pair + 1)]
    return [reference.pool.at(pair), candidate.pool.at(pair + pair // reference.pool.size)]


def together(
    stage: Stage, case: str, pair: int, parts: Sequence[DuetSide], servers: Sequence[Server], number: int
) -> list[Launch]:
    """Step both actors in turn. The side that begins alternates from duet to duet."""
    starts = begun(case, pair, parts, servers, number, "in turn")
    order = (0, 1) if pair % 2 == 0 else (1, 0)
    rows: list[list[dict[str, float]]] = [[], []]
    at_work = order[0]
    both = stage.timed(*(part.workload for part in parts))
    with stage.held(both), on_core(stage.core), ExitStack() as stack:
        try:
            actors: dict[int, Any] = {}
            ready: dict[int, Any] = {}
            for at_work in order:
                part = parts[at_work]
                actors[at_work], ready[at_work] = stack.enter_context(
                    stage.actor(servers[at_work], part.workload, "time", part.slowdown)
                )
            warm: list[Warmth] = []
            for at_work in order:
                warm.append(warmed_up(stage, actors[at_work]))
            if not any(ranks_of(part.workload) > 1 for part in parts):
                stage.sharing_core(*actors.values())
            steps = steps_of_turn(stage, max(each.step_s for each in warm))
            turns_s = [each.turn_s(steps) for each in warm]
            part = in_bursts(parts[0], max(turns_s)) if stage.device.bursts else parts[0]
            for _ in range(count_steps(sum(turns_s), part, far=max(turns_s) > FAR * min(turns_s))):
                for at_work in order:
                    rows[at_work].append(taken(stage, actors[at_work], steps))
            beside: dict[int, dict[str, Value]] = {}
            for at_work in order:
                beside[at_work] = steps_by_themselves(stage, actors[at_work], ready[at_work], DEVICE_TIME)
        except LaunchFailed as failure:
            partner = f"{parts[at_work].side} ended: {failure.reason}"
            return [
                failed(start, failure) if index == at_work else start.rejected(partner)
                for index, start in enumerate(starts)
            ]
    done = [
        completed(starts[index], with_host_time(columns(rows[index]) | beside[index]), ready[index]) for index in (0, 1)
    ]
    return undisturbed([stage.judged(launch) for launch in done])


def apart(
    stage: Stage, case: str, pair: int, parts: Sequence[DuetSide], servers: Sequence[Server], number: int
) -> list[Launch]:
    """Run one side after the other, because both do not fit into memory. The order alternates from duet to duet."""
    starts = begun(case, pair, parts, servers, number, "one after the other")
    launches = list(starts)
    for index in (0, 1) if pair % 2 == 0 else (1, 0):
        part = parts[index]
        with stage.held(stage.timed(part.workload)), on_core(stage.core):
            try:
                with stage.actor(servers[index], part.workload, "time", part.slowdown) as (actor, ready):
                    warm = warmed_up(stage, actor)
                    steps = steps_of_turn(stage, warm.step_s)
                    turn_s = warm.turn_s(steps)
                    bounded = in_bursts(part, turn_s) if stage.device.bursts else part
                    rows = [taken(stage, actor, steps) for _ in range(count_steps(2 * turn_s, bounded))]
                    beside = steps_by_themselves(stage, actor, ready, DEVICE_TIME)
            except LaunchFailed as failure:
                launches[index] = failed(starts[index], failure)
                launches[1 - index] = starts[1 - index].rejected(f"{part.side} ended: {failure.reason}")
                return launches
        done = completed(starts[index], with_host_time(columns(rows) | beside), ready)
        launches[index] = stage.judged(done)
    if capped_unlike(launches):
        reason = "the clock of one side was held down, that of the other was not"
        launches = [launch if launch.invalid else launch.rejected(reason) for launch in launches]
    return both_or_none(launches)


def steps_of_turn(stage: Stage, step_s: float) -> int:
    """The number of steps in a turn: a burst's on a GPU, else one."""
    return burst_steps(step_s) if stage.device.bursts else 1


def in_bursts(part: DuetSide, burst_s: float) -> DuetSide:
    """The side with fewer turns if its bursts are long, because a long burst varies less than a single step."""
    least = max(math.floor(BURSTS_S / burst_s), FAR_STEPS) if burst_s > 0 else part.min_steps
    return replace(part, min_steps=min(part.min_steps, least))


def taken(stage: Stage, actor: Actor, steps: int) -> dict[str, float]:
    """Take one turn, and return a number for each metric."""
    return {name: value for name, value in stage.step(actor, steps).items() if not isinstance(value, list)}


def begun(
    case: str, pair: int, parts: Sequence[DuetSide], servers: Sequence[Server], number: int, stepped: str
) -> list[Launch]:
    """Both launches, with all facts that are known before they begin."""
    first = parts[pair % 2].side
    return [
        Launch(
            case,
            part.workload.sha256,
            number,
            {},
            side=part.side,
            pair=pair,
            server=server.name,
            pass_name="time",
            details=Details(turns=Turns(first=first, stepped=stepped, injected=part.slowdown)),
        )
        for part, server in zip(parts, servers, strict=True)
    ]


def count_steps(pair_s: float, part: DuetSide, far: bool = False) -> int:
    """The number of turns of each side.

    Args:
        pair_s: seconds that one turn of both sides takes together.
        part: a side, which has the time to fill and the smallest number of steps.
        far: whether one side takes so much longer that fewer steps than the usual minimum show it.
    """
    least = min(part.min_steps, FAR_STEPS) if far else part.min_steps
    return min(max(math.ceil(part.filled_s / max(pair_s, 1e-6)), least), MAX_STEPS)


def undisturbed(launches: list[Launch]) -> list[Launch]:
    """Reject both launches if another process took the core, or if their ratio still drifts at the end."""
    reason = next((launch.invalid for launch in launches if launch.invalid), "")
    for launch in launches:
        if launch.other and launch.waited is None:  # the scheduler keeps no account
            reason = reason or contended_by_clock(launch.metrics[STEP], launch.other.metrics[STEP])
    if not reason:
        waited = any(undelayed(launch) is not launch for launch in launches)
        reference, candidate = (launch.on("processor" if waited else "wall").steps(STEP) for launch in launches)
        ratios = [b / a for a, b in zip(reference, candidate, strict=True)]
        if not settled(ratios):
            reason = f"{unsteady(ratios)} the ratio of the two sides went from 1 to {drift(ratios):.2f} within the duet"
    return both_or_none([launch.rejected(reason) for launch in launches] if reason else launches)


def capped_unlike(launches: Sequence[Launch]) -> bool:
    """Whether the GPU's clocks were held down by the power limit for one side only, in more than 5% of its time.

    Such capping is normal on an H100, and does no harm if both sides are stepped in turn.
    """
    capped = [launch.details.seen.slowdown_shares.get("sw_power_cap", 0.0) > ALLOWED_SHARE for launch in launches]
    return capped[0] != capped[1]


def both_or_none(launches: list[Launch]) -> list[Launch]:
    """Reject both sides if one is rejected."""
    reason = next((launch.invalid for launch in launches if launch.invalid), None)
    return [launch if launch.invalid or not reason else launch.rejected(reason) for launch in launches]


def valid_pair(launches: Sequence[Launch]) -> tuple[Launch, Launch] | None:
    """Reference and candidate of the last attempt; ``None`` if they are not valid."""
    by_side = {launch.side: launch for launch in launches[-2:]}
    pair = by_side["reference"], by_side["candidate"]
    return None if any(launch.invalid for launch in pair) else pair
