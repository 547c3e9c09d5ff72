"""Whether a launch may be used: did the machine disturb it?"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from perfgate.measure.devices.base import Status
from perfgate.records.launch import Launch

CONTENDED = 1.5
UNSTEADY = 1.5
# What may not hold a GPU's clocks down while it is measured. That software keeps to the power limit is normal.
SLOWDOWNS = {
    "hw_thermal_slowdown": "it was too hot",
    "sw_thermal_slowdown": "it was too hot",
    "hw_power_brake_slowdown": "its power supply braked it",
    "hw_slowdown": "its hardware slowed it down",
}
CANNOT_TELL = "cannot tell"


def other_settings(asked: Mapping[str, Any], effective: Mapping[str, Any]) -> str:
    """Name the settings that were asked for and are not in force, or may not be; empty where all are."""
    wrong = [
        f"asked for {name}={value}, in force is {effective[name]}"
        if name in effective
        else f"asked for {name}={value}, and the program does not tell whether it is in force"
        for name, value in asked.items()
        if name not in effective or effective[name] != value
    ]
    return "; ".join(wrong)


def judge(launch: Launch, wall_s: list[float], process_s: list[float]) -> Launch:
    """Attach the yardstick, and reject a launch that the machine disturbed.

    The yardstick only computes: where its time on the wall is far above its time on the processor, something else had
    the core.
    """
    launch = replace(launch, yardstick_s=wall_s)
    if reason := contended(statistics.median(wall_s), statistics.median(process_s)):
        return launch.rejected(reason)
    steps = launch.metrics["step_time_s"]
    return steady(launch, [a / b for a, b in zip(steps, wall_s, strict=True)] if isinstance(steps, list) else [])


def contended(wall_s: float, process_s: float) -> str:
    """Say so where something else had the core: much more time went by than the process computed for."""
    share = wall_s / max(process_s, 1e-9)
    return f"contended: other processes took {1 - 1 / share:.0%} of the core" if share > CONTENDED else ""


def drift(values: Sequence[float]) -> float:
    """The last third over the first; 1 where there are too few to tell."""
    third = len(values) // 3
    return statistics.median(values[-third:]) / statistics.median(values[:third]) if third > 1 else 1.0


def settled(values: Sequence[float]) -> bool:
    """Whether the last third is much like the first."""
    return 1 / UNSTEADY < drift(values) < UNSTEADY


def steady(launch: Launch, steps: Sequence[float]) -> Launch:
    """Reject a launch whose steps still drift when it ends: they have not settled."""
    if settled(steps):
        return launch
    return launch.rejected(f"unsteady: steps went from 1 to {drift(steps):.2f} within the launch")


def undisturbed(launch: Launch, uuid: str, seen: Sequence[Status], others: Sequence[int] | None) -> Launch:
    """Attach what the device's driver told, and reject a launch that something else disturbed.

    Only timings are disturbed by clocks held down; memory runs out for anyone if others take it.

    Args:
        launch: as it ended.
        uuid: of the device.
        seen: what the driver told from before the launch until after it.
        others: processes on the device that are none of the stage's actors; ``None`` where that cannot be told.
    """
    slowdown_s = held_down_s(seen)
    facts = {
        "device": uuid,
        "others": CANNOT_TELL if others is None else list(others),
        "slowdown_s": slowdown_s,
    }
    launch = replace(launch, details={**launch.details, **facts})
    timed = launch.pass_name == "time"
    if others and (timed or launch.out_of_memory):
        why = f", and the launch ended: {launch.invalid}" if launch.invalid else ""
        names = ", ".join(map(str, others))
        return launch.rejected(f"contended: process {names} was on the device{why}")
    reasons = [reason for reason in SLOWDOWNS if reason in slowdown_s]
    if timed and reasons and not launch.invalid:
        took = max(slowdown_s[reason] or 0.0 for reason in reasons)
        length = f" for {took:.2g} s" if took else ""
        return launch.rejected(f"throttled: the device's clock was held down{length}, as {SLOWDOWNS[reasons[0]]}")
    return launch


def held_down_s(seen: Sequence[Status]) -> dict[str, float | None]:
    """How long clocks were held down between the first and the last of what was seen, by reason.

    ``None`` in place of the seconds where the driver does not count them, but was seen to hold clocks down after the
    launch had begun.
    """
    first, last = seen[0].slowdown_ns, seen[-1].slowdown_ns
    grown = {name: (last[name] - first.get(name, 0)) / 1e9 for name in last}
    found: dict[str, float | None] = {name: seconds for name, seconds in grown.items() if seconds > 0}
    return {name: None for status in seen[1:] for name in status.reasons} | found
