"""The validity of a launch: whether the machine disturbed it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from perfgate.measure.neighbours import contended
from perfgate.records.clocks import CONTENDED, STEP, WAITED, Value, by_clock
from perfgate.records.launch import EVER_SLOWER, Launch

UNSTEADY = 1.5
YARDSTICK_PARTS = ("matmul_s", "python_s", "copy_s")


def other_settings(asked: Mapping[str, Any], effective: Mapping[str, Any]) -> str:
    """A clause about requested settings that are not in force, or may not be; empty if all are in force."""
    wrong = [
        f"asked for {name}={value}, in force is {effective[name]}"
        if name in effective
        else f"asked for {name}={value}, and the program does not tell whether it is in force"
        for name, value in asked.items()
        if name not in effective or effective[name] != value
    ]
    return "; ".join(wrong)


def judge(launch: Launch, yardstick: Mapping[str, Value]) -> Launch:
    """Attach the yardstick on both clocks, and reject a launch that cannot be judged on either clock.

    If the scheduler keeps no account of waiting for the core, the yardstick shows it. The yardstick does nothing but
    compute, so another process had the core if the yardstick's wall time is far above its processor time.

    Args:
        launch: the launch with the case's steps.
        yardstick: the metrics of the yardstick's steps beside them, a list for each metric.
    """
    wall, processor = by_clock(yardstick)
    parts_s = {part: spans(wall[part]) for part in YARDSTICK_PARTS}
    launch = replace(launch, yardstick_s=spans(wall[STEP]))
    launch = launch.detailed(yardstick=replace(launch.details.yardstick, parts_s=parts_s))
    if launch.other:
        own = {part: spans(processor[part]) for part in YARDSTICK_PARTS}
        launch = replace(launch, other=replace(launch.other, yardstick_s=spans(processor[STEP]), parts_s=own))
    elif reason := contended_by_clock(wall[STEP], processor[STEP]):
        return launch.rejected(reason)
    seen = undelayed(launch)
    ratios = zip(seen.steps(STEP), seen.yardstick_s or (), strict=True)
    return steady(launch, [step_s / beside_s for step_s, beside_s in ratios])


def undelayed(launch: Launch) -> Launch:
    """The launch on the clock that shows whether its steps have settled: processor time if steps had to wait."""
    return launch.on("processor") if (launch.waited or 0.0) > WAITED else launch


def contended_by_clock(wall_s: Value, computed_s: Value) -> str:
    """The reason for rejecting a launch if a process that only computes had much less processor time than wall time."""
    share = 1 - statistics.median(spans(computed_s)) / statistics.median(spans(wall_s))
    return contended(share) if share > CONTENDED else ""


def spans(value: Value) -> list[float]:
    """A value as a list with one number for each step."""
    return value if isinstance(value, list) else [value]


def drift(values: Sequence[float]) -> float:
    """The median of the last third of some values divided by that of the first third; 1 if there are too few values."""
    third = len(values) // 3
    return statistics.median(values[-third:]) / statistics.median(values[:third]) if third > 1 else 1.0


def settled(values: Sequence[float]) -> bool:
    """Whether the last third of some values is close to the first third."""
    return 1 / UNSTEADY < drift(values) < UNSTEADY


def steady(launch: Launch, steps: Sequence[float]) -> Launch:
    """Reject a launch whose steps have not settled at its end."""
    if settled(steps):
        return launch
    return launch.rejected(f"{unsteady(steps)} steps went from 1 to {drift(steps):.2f} within the launch")


def unsteady(values: Sequence[float]) -> str:
    """The beginning of the reason for rejecting steps that have not settled."""
    return EVER_SLOWER if drift(values) > 1 else "unsteady:"
