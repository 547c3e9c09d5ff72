"""What a setting does: vanilla and setting held against each other, by the passes that the expectations need."""

from collections.abc import Sequence

from perfgate.cases.duets import DuetSeries, Policy, Progress, Promise, as_effect, nothing, of_effect
from perfgate.gate import effects
from perfgate.gate.effects import Expectation
from perfgate.gate.equivalence import Equivalence, alike
from perfgate.gate.verdicts import Comparison
from perfgate.measure.duet import DuetSide
from perfgate.measure.schedule import COUNTERS, MEMORY, untimed
from perfgate.measure.stage import Stage
from perfgate.records.launch import Launch, Side
from perfgate.records.metrics import metric
from perfgate.records.verdict import Verdict
from perfgate.shared.workload import Workload

# Of a duet: what a setting promises is far larger than what a gate must see.
FILLED_S, MIN_STEPS = 1.0, 10
UNTOLD = "a dry run does not tell; leave out --perf-device none"
RATES = ("samples_per_s", "tokens_per_s")


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
    """Measure both sides and decide.

    Args:
        stage: with the device.
        case: its id.
        vanilla: what the setting is held against.
        setting: the same with the setting.
        expectations: of metrics.
        likenesses: of outcomes, which real arithmetic alone has.
        rules: with what is known of the machine's noise.
        progress: told in words what begins.

    Returns:
        All launches, and a verdict for each expectation that can be decided on this device.
    """
    asked: list[Promise] = [*expectations, *likenesses]
    times = [item for item in expectations if is_timed(item.metric)]
    exact = [item for item in expectations if item not in times]
    if stage.plan.device == "none":
        exact, times = [item for item in exact if metric(item.metric).portable], []
        if not exact:
            return [], [nothing(case, item, "invalid", UNTOLD) for item in asked]
        likenesses = []
    sides: list[tuple[Side, Workload]] = [("reference", vanilla), ("candidate", setting)]
    wanted = {item.metric for item in exact}
    launches: list[Launch] = []
    for side, workload in sides:
        launches += untimed(stage, case, workload, progress, side, stage.pool, passes=passes_for(wanted))
    if unusable := [launch for launch in launches if launch.invalid]:
        return launches, [nothing(case, item, "invalid", unmeasured(unusable[0])) for item in asked]
    verdicts = [decided(case, item, launches) for item in exact]
    verdicts += [likened(case, item, launches) for item in likenesses]
    if times:
        parts = [
            DuetSide(side, stage.pool, workload, filled_s=FILLED_S, min_steps=MIN_STEPS) for side, workload in sides
        ]
        series = DuetSeries(stage, case, parts, policy.deadline, progress)
        verdicts += of_effect(series, times, policy.noise)
        launches += series.judged()
    return launches, verdicts


def is_timed(name: str) -> bool:
    """Whether a metric is had by stepping both sides in turn."""
    return metric(name).kind == "noisy" or name in RATES


def passes_for(names: set[str]) -> list[str]:
    """The passes that tell these metrics; the counters' tells besides which settings are in force."""
    found = ["dry"] if any(metric(name).portable for name in names) else []
    found.append(COUNTERS.name)
    return found + ([MEMORY.name] if any(not metric(name).exact for name in names) else [])


def decided(case: str, item: Expectation, launches: Sequence[Launch]) -> Verdict:
    """The verdict on a metric that repeats itself."""
    name = item.metric
    sides = {launch.side: launch.value(name) for launch in launches if name in launch.metrics}
    if len(sides) < 2:
        return nothing(case, item, "inconclusive", f"{name} is not measured of this program on this device")
    held = Comparison(case, name, sides["reference"], sides["candidate"], 1, 0.0)
    return as_effect(effects.exact(item, held.reference, held.candidate).told(held), item)


def likened(case: str, item: Equivalence, launches: Sequence[Launch]) -> Verdict:
    """The verdict on an outcome."""
    told = [launch for launch in launches if "outcome" in launch.details]  # of the pass that asks for it
    outcomes = {launch.side: launch.details["outcome"].get(item.metric) for launch in told}
    if not outcomes.get("reference") or not outcomes.get("candidate"):
        return nothing(case, item, "inconclusive", f"this program tells no {item.metric}")
    return alike(case, item, outcomes["reference"], outcomes["candidate"])


def unmeasured(launch: Launch) -> str:
    """Why there is no verdict: one side could not be measured."""
    side = "vanilla" if launch.side == "reference" else "the setting"
    return f"{side} could not be measured: {launch.invalid}"
