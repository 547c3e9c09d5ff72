"""Measures the effect of a setting: vanilla and the setting run in the passes that the expectations need."""

from collections.abc import Sequence

from perfgate.cases.duets import DuetSeries, Policy, Progress, Promise, as_effect, nothing, of_effect
from perfgate.gate import effects
from perfgate.gate.effects import Expectation
from perfgate.gate.equivalence import Equivalence, alike
from perfgate.gate.outcome import DRY_TELLS_NOT, EMULATED_TELLS_NOT, NO_TIMES
from perfgate.gate.verdicts import Comparison, fallen
from perfgate.measure.duet import DuetSide
from perfgate.measure.schedule import COLD_COUNTERS, COUNTERS, UNTIMED, untimed
from perfgate.measure.stage import Stage
from perfgate.records.launch import Launch, Side
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import COMPILE_TIME, metric
from perfgate.shared.workload import Workload

# Shorter duets than the gate's: effects are much larger than the 3% that a gate must detect.
FILLED_S, MIN_STEPS = 1.0, 10
UNTOLD = f"{DRY_TELLS_NOT}; leave out --perf-device none"
EMULATED = f"{EMULATED_TELLS_NOT}; measure it on a real one"
UNTIMED_RUN = f"{NO_TIMES}; leave out --perf-launches 0"


def tried(
    stage: Stage,
    case: str,
    vanilla: Workload,
    setting: Workload,
    expectations: Sequence[Expectation],
    likenesses: Sequence[Equivalence],
    policy: Policy,
    progress: Progress,
) -> tuple[list[Launch], list[Verdict]]:
    """Measure vanilla and the setting, and decide each expectation.

    Args:
        stage: the stage with the device.
        case: its id.
        vanilla: the workload without the setting.
        setting: the same workload with the setting.
        expectations: the expectations of metrics.
        likenesses: the expectations of results, which a dry run does not have.
        policy: the run's rules, with its deadline and the machine's noise.
        progress: called with a few words when something begins.

    Returns:
        All launches, and a verdict for each expectation; ``invalid`` if this device cannot measure it.
    """
    asked: list[Promise] = [*expectations, *likenesses]
    times = [item for item in expectations if metric(item.metric).stepped_in_turn]
    exact = [item for item in expectations if item not in times]
    why = ""
    if stage.plan.device == "none":
        exact, times, likenesses, why = [item for item in exact if metric(item.metric).dry], [], [], UNTOLD
    elif stage.plan.emulated:
        times, likenesses, why = [], [], EMULATED
    elif not stage.plan.timed:
        times, why = [], UNTIMED_RUN
    held = {*exact, *times, *likenesses}
    untold = [nothing(case, item, "invalid", why) for item in asked if item not in held]
    if not held:
        return [], untold
    sides: list[tuple[Side, Workload]] = [("reference", vanilla), ("candidate", setting)]
    wanted = {item.metric for item in exact}
    # Else what was compiled before on this machine, for one side or for both, would decide.
    counters = COLD_COUNTERS if any(item.metric == COMPILE_TIME for item in expectations) else COUNTERS
    launches: list[Launch] = []
    for side, workload in sides:
        passes = passes_for(wanted)
        launches += untimed(stage, case, workload, progress, side, stage.pool, passes, counters=counters)
    if unusable := [launch for launch in launches if launch.invalid]:
        return launches, [nothing(case, item, "invalid", unmeasured(unusable[0])) for item in asked]
    # The counters pass measures some times once, if the steps do not measure them.
    exact += (once := [item for item in times if counted(item.metric, launches)])
    times = [item for item in times if item not in once]
    verdicts = [decided(case, item, launches) for item in exact]
    verdicts += [likened(case, item, launches) for item in likenesses]
    if times:
        parts = [
            DuetSide(side, stage.pool, workload, filled_s=FILLED_S, min_steps=MIN_STEPS) for side, workload in sides
        ]
        series = DuetSeries(stage, case, parts, policy.deadline, progress)
        timed = of_effect(series, times, policy.noise)
        # Both sides run the code under test.
        if broken := series.fell("reference", "candidate"):
            timed = [fallen(verdict, unmeasured(broken)) for verdict in timed]
        verdicts += timed
        launches += series.judged()
    return launches, [*verdicts, *untold]


def counted(name: str, launches: Sequence[Launch]) -> bool:
    """Whether untimed launches of both sides measured a metric."""
    return {launch.side for launch in launches if name in launch.metrics} == {"reference", "candidate"}


def passes_for(names: set[str]) -> list[str]:
    """The passes that measure these metrics; always the counters pass, which checks the settings in force."""
    wanted = {metric(name).brought_by for name in names} | {COUNTERS.name}
    return [name for name in UNTIMED if name in wanted]


def decided(case: str, item: Expectation, launches: Sequence[Launch]) -> Verdict:
    """The verdict on a metric that needs no duets because it repeats itself."""
    name = item.metric
    sides = {launch.side: launch.value(name) for launch in launches if name in launch.metrics}
    if len(sides) < 2:
        return nothing(case, item, "inconclusive", f"{name} is not measured of this program on this device")
    held = Comparison(case, name, sides["reference"], sides["candidate"], 1, 0.0)
    return as_effect(effects.exact(item, held.reference, held.candidate).told(held), item)


def likened(case: str, item: Equivalence, launches: Sequence[Launch]) -> Verdict:
    """The verdict on whether two results are equal or close."""
    counted = [launch for launch in launches if launch.pass_name == COUNTERS.name]
    outcomes = {launch.side: launch.details.findings.outcome.get(item.metric) for launch in counted}
    before, now = outcomes.get("reference"), outcomes.get("candidate")
    if not before or not now:
        return nothing(case, item, "inconclusive", f"this program returns no {item.metric}")
    return alike(case, item, before, now)


def unmeasured(launch: Launch) -> str:
    """The reason for a missing verdict: the side that could not be measured, and why."""
    side = "vanilla" if launch.side == "reference" else "the setting"
    return f"{side} could not be measured: {launch.invalid}"
