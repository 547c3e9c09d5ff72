"""The validity of a launch: whether the machine disturbed it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from perfgate.measure.devices.base import Status
from perfgate.records.details import DeviceSeen
from perfgate.records.launch import Launch

CONTENDED = 1.5
UNSTEADY = 1.5
# Reasons for which a GPU's clocks may not be held down during a launch. Keeping to the power limit is normal.
SLOWDOWNS = {
    "hw_thermal_slowdown": "it was too hot",
    "sw_thermal_slowdown": "it was too hot",
    "hw_power_brake_slowdown": "its power supply braked it",
    "hw_slowdown": "its hardware slowed it down",
}


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

    The yardstick only computes, so something else had the core where its wall time is far above its processor time.
    """
    launch = replace(launch, yardstick_s=wall_s)
    if reason := contended(statistics.median(wall_s), statistics.median(process_s)):
        return launch.rejected(reason)
    steps = launch.metrics["step_time_s"]
    return steady(launch, [a / b for a, b in zip(steps, wall_s, strict=True)] if isinstance(steps, list) else [])


def contended(wall_s: float, process_s: float) -> str:
    """The reason to reject steps whose wall time is far above their processor time; empty where it is not."""
    share = wall_s / max(process_s, 1e-9)
    return f"contended: other processes took {1 - 1 / share:.0%} of the core" if share > CONTENDED else ""


def drift(values: Sequence[float]) -> float:
    """Median of the last third over that of the first; 1 where there are too few values."""
    third = len(values) // 3
    return statistics.median(values[-third:]) / statistics.median(values[:third]) if third > 1 else 1.0


def settled(values: Sequence[float]) -> bool:
    """Whether the last third is close to the first."""
    return 1 / UNSTEADY < drift(values) < UNSTEADY


def steady(launch: Launch, steps: Sequence[float]) -> Launch:
    """Reject a launch whose steps have not settled at its end."""
    if settled(steps):
        return launch
    return launch.rejected(f"unsteady: steps went from 1 to {drift(steps):.2f} within the launch")


def undisturbed(launch: Launch, uuid: str, seen: Sequence[Status], others: Sequence[int] | None) -> Launch:
    """Attach what the driver told of the device, and reject a launch that something else disturbed.

    Clocks that are held down disturb timings alone. Other processes disturb memory too, if it runs out.

    Args:
        launch: as it ended.
        uuid: of the device.
        seen: what the driver told from before the launch until after it.
        others: processes on the device that are none of the stage's actors; ``None`` where that cannot be told.
    """
    slowdown_s = held_down_s(seen)
    told = DeviceSeen(uuid, "cannot tell" if others is None else list(others), slowdown_s)
    launch = launch.detailed(seen=told)
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
