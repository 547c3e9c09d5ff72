"""The timed pass on a CPU: the case and the yardstick, stepped in turn on one core."""

from collections.abc import Mapping
from contextlib import ExitStack

from perfgate.measure.actor import Actor, LaunchFailed
from perfgate.measure.devices.rapl import RAPL
from perfgate.measure.energy import energy_on_cpu
from perfgate.measure.server import Server
from perfgate.measure.stage import Stage
from perfgate.measure.steps import columns, completed, failed, mean_of, on_core, steps_by_themselves, warmed_up
from perfgate.measure.validity import judge
from perfgate.records.clocks import Value
from perfgate.records.details import Energy, Turns, Yardstick
from perfgate.records.launch import YARDSTICK_VERSIONS, Launch
from perfgate.shared.workload import Workload
from perfgate.workloads.programs import workload_of

YARDSTICK = workload_of("yardstick.cpu", {"version": YARDSTICK_VERSIONS["cpu"]})
YARDSTICK_SHARE = 0.6


def timed_launch(stage: Stage, case: str, workload: Workload, server: Server, number: int) -> Launch:
    """Step the case and the yardstick in turn on one core. Launches alternate in which of them begins."""
    first = "case" if number % 2 == 0 else "yardstick"
    start = Launch(case, workload.sha256, number, {}, server=server.name, pass_name="time")
    with stage.held(stage.timed(workload)), on_core(stage.core), ExitStack() as stack:
        try:
            actor, ready = stack.enter_context(stage.actor(server, workload, "time"))
            yardstick, _ = stack.enter_context(stage.actor(server, YARDSTICK, "yardstick"))
            warm = warmed_up(stage, actor)
            yardstick_s = stage.step_yardstick(yardstick)["step_time_s"]
            count = count_steps(stage, warm.turn_s())
            beside = max(1, round(YARDSTICK_SHARE * warm.step_s / yardstick_s))
            steps, yardsticks = in_turn(stage, actor, yardstick, count, beside, first)
            by_themselves = steps_by_themselves(stage, actor, ready)
            by_themselves |= {} if number else energy_on_cpu(stage, actor, warm.step_s)
            metrics: dict[str, Value] = stage.ask(actor, {"finish": True})["metrics"]
        except LaunchFailed as failure:
            return failed(start, failure)
    metrics |= columns(steps) | by_themselves
    metrics |= {"setup_s": ready["setup_s"], "first_step_s": warm.first_s}
    told = Yardstick("cpu", YARDSTICK_VERSIONS["cpu"], beside)
    launch = completed(start, metrics, ready).detailed(turns=Turns(first), yardstick=told)
    if "energy_j" in metrics:
        launch = launch.detailed(energy=Energy(RAPL))
    return judge(launch, columns(yardsticks))


def in_turn(
    stage: Stage, actor: Actor, yardstick: Actor, count: int, beside: int, first: str
) -> tuple[list[Mapping[str, float]], list[Mapping[str, float]]]:
    """Take turns: a step of the case, then some of the yardstick, or the other way round.

    Args:
        stage: the stage with the device.
        actor: the case's actor.
        yardstick: the yardstick's actor.
        count: number of steps of the case.
        beside: number of steps of the yardstick for each step of the case; their mean is kept.
        first: the actor that begins: ``case`` or ``yardstick``.

    Returns:
        A row for each step of the case, and a row for the yardstick beside each of them.
    """
    steps: list[Mapping[str, float]] = []
    yardsticks: list[Mapping[str, float]] = []
    for _ in range(count):
        if first == "case":
            steps.append(stage.step(actor))
        yardsticks.append(mean_of([stage.step_yardstick(yardstick) for _ in range(beside)]))
        if first != "case":
            steps.append(stage.step(actor))
    return steps, yardsticks


def count_steps(stage: Stage, turn_s: float) -> int:
    """The number of timed steps: as many as fill the plan's time, within its bounds."""
    wanted = int(stage.plan.steps_s / max(turn_s, 1e-6))
    return min(max(wanted, stage.plan.min_steps), stage.plan.max_steps)
