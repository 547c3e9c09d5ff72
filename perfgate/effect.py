"""What a setting does: vanilla and setting held against each other, by the passes that the expectations need."""

from collections.abc import Sequence

from perfgate.gate import effects
from perfgate.gate.effects import Expectation
from perfgate.gate.likeness import Likeness, alike
from perfgate.gate.verdicts import Held
from perfgate.records.launch import Launch, Side
from perfgate.records.metrics import metric
from perfgate.records.verdict import Verdict
from perfgate.stage.conductor import COUNTERS, MEMORY, Stage
from perfgate.stage.duet import Part
from perfgate.trial import Progress, Rules, Trial, as_effect, of_effect
from perfgate.workload import Workload

FILLED_S = 1.0  # of a duet: what a setting promises is far larger than what a gate must see
RATES = ("samples_per_s", "tokens_per_s")


def tried(
    stage: Stage,
    case: str,
    vanilla: Workload,
    setting: Workload,
    expectations: Sequence[Expectation],
    likenesses: Sequence[Likeness],
    rules: Rules,
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
    times = [item for item in expectations if is_timed(item.metric)]
    exact = [item for item in expectations if item not in times]
    if stage.effort.device == "none":
        exact, times = [item for item in exact if metric(item.metric).portable], []
        if not exact:
            asked: list[Expectation | Likeness] = [*expectations, *likenesses]
            return [], [undecidable(case, item) for item in asked]
        likenesses = []
    sides: list[tuple[Side, Workload]] = [("reference", vanilla), ("candidate", setting)]
    wanted = {item.metric for item in exact}
    launches: list[Launch] = []
    for side, workload in sides:
        launches += stage.alone(case, workload, progress, side, stage.pool, passes=passes_for(wanted))
    if unusable := [launch for launch in launches if launch.invalid]:
        named = [(item.metric, str(item)) for item in expectations] + [(item.name, str(item)) for item in likenesses]
        return launches, [invalid(case, *item, unusable[0]) for item in named]
    verdicts = [decided(case, item, launches) for item in exact]
    verdicts += [likened(case, item, launches) for item in likenesses]
    if times:
        parts = [Part(side, stage.pool, workload, filled_s=FILLED_S) for side, workload in sides]
        trial = Trial(stage, case, parts, rules.limit, progress)
        verdicts += of_effect(trial, times, rules.noise)
        launches += trial.launches
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
        why = f"{name} is not measured of this program on this device"
        return Verdict(case, name, "inconclusive", why=why, expected=str(item), against="vanilla")
    held = Held(case, name, sides["reference"], sides["candidate"], 1, 0.0)
    return as_effect(effects.exact(item, held.reference, held.candidate).told(held), item)


def undecidable(case: str, item: Expectation | Likeness) -> Verdict:
    """No verdict, as there is a dry run alone."""
    name = item.metric if isinstance(item, Expectation) else item.name
    why = "a dry run does not tell; leave out --perf-device none"
    return Verdict(case, name, "invalid", why=why, expected=str(item), against="vanilla")


def likened(case: str, item: Likeness, launches: Sequence[Launch]) -> Verdict:
    """The verdict on an outcome."""
    told = [launch for launch in launches if "outcome" in launch.details]  # of the pass that asks for it
    outcomes = {launch.side: launch.details["outcome"].get(item.name) for launch in told}
    if not outcomes.get("reference") or not outcomes.get("candidate"):
        why = f"this program tells no {item.name}"
        return Verdict(case, item.name, "inconclusive", why=why, expected=str(item), against="vanilla")
    return alike(case, item, outcomes["reference"], outcomes["candidate"])


def invalid(case: str, name: str, expected: str, launch: Launch) -> Verdict:
    """No verdict, as one side could not be measured."""
    side = "vanilla" if launch.side == "reference" else "the setting"
    why = f"{side} could not be measured: {launch.invalid}"
    return Verdict(case, name, "invalid", why=why, expected=expected, against="vanilla")
