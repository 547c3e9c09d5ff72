"""Whether a launch may be used: did the machine disturb it?"""

import statistics
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from perfgate.records.launch import Launch

CONTENDED = 1.5
UNSTEADY = 1.5


def other_settings(asked: Mapping[str, Any], effective: Mapping[str, Any]) -> str:
    """Name the settings that are in force in place of those that were asked for; empty where all are as they should."""
    wrong = [
        f"asked for {name}={value}, in force is {effective[name]}"
        for name, value in asked.items()
        if name in effective and effective[name] != value
    ]
    return "; ".join(wrong)


def judge(launch: Launch, wall_s: list[float], process_s: list[float]) -> Launch:
    """Attach the yardstick, and reject a launch that the machine disturbed.

    The yardstick only computes: where its time on the wall is far above its time on the processor, something else had
    the core. Steps that still drift when the launch ends have not settled.
    """
    launch = replace(launch, yardstick_s=wall_s)
    share = statistics.median(wall_s) / max(statistics.median(process_s), 1e-9)
    if share > CONTENDED:
        return launch.rejected(f"contended: other processes took {1 - 1 / share:.0%} of the core")
    steps = launch.metrics["step_time_s"]
    ratios = [a / b for a, b in zip(steps, wall_s, strict=True)] if isinstance(steps, list) else []
    third = len(ratios) // 3
    if third > 1:
        drift = statistics.median(ratios[-third:]) / statistics.median(ratios[:third])
        if not 1 / UNSTEADY < drift < UNSTEADY:
            return launch.rejected(f"unsteady: steps went from 1 to {drift:.2f} within the launch")
    return launch
