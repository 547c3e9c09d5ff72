"""The energy of steps: from counters before and after them, and from a pause without work."""

import math
import time
from typing import Any

from perfgate.measure.actor import Actor
from perfgate.measure.devices.base import Status
from perfgate.measure.devices.rapl import energy_j
from perfgate.measure.stage import Stage
from perfgate.records.clocks import Value

COUNTED_S = 0.5  # seconds of steps on a CPU, whose counter is updated every millisecond
RESTED_S = 0.5
MAX_STEPS = 200


def energy(
    before: Status | None, within: Status | None, after: Status | None, steps: int, rested: Status | None = None
) -> dict[str, Value]:
    """The energy of a step in joules, and the power and clock under load, as far as the driver reports them.

    Args:
        before: the device's status before the steps.
        within: its status in the middle of them; if unknown, the status after them is used.
        after: its status after the steps.
        steps: the number of steps in between; 0 if they are too few to measure their energy.
        rested: its status after a pause without work. The power in the pause is also used during steps;
            ``idle_energy_share`` is its share of their energy.
    """
    if before is None or after is None:
        return {}
    loaded = within or after
    told: dict[str, Any] = {"power_w": loaded.power_w, "clock_mhz": loaded.clock_mhz}
    if steps and before.energy_j is not None and after.energy_j is not None:
        taken_j = after.energy_j - before.energy_j
        told["energy_j"] = taken_j / steps
        if taken_j > 0 and (idle_w := between_w(after, rested)) is not None:
            told["idle_power_w"] = idle_w
            told["idle_energy_share"] = min(1.0, idle_w * (after.at_s - before.at_s) / taken_j)
    return {name: value for name, value in told.items() if value is not None}


def between_w(first: Status, last: Status | None) -> float | None:
    """The mean power between two reports; ``None`` if they do not have the energy."""
    if last is None or first.energy_j is None or last.energy_j is None or last.at_s <= first.at_s:
        return None
    return (last.energy_j - first.energy_j) / (last.at_s - first.at_s)


def energy_on_cpu(stage: Stage, actor: Actor, step_s: float) -> dict[str, Value]:
    """The energy of a step on a CPU, from its energy counter (RAPL); empty if that cannot be read.

    The counter covers the whole processor, so the energy of other programs is included.

    Args:
        stage: the stage with the device.
        actor: the actor that takes the steps.
        step_s: the approximate seconds of a step.
    """
    if (began_j := energy_j()) is None:
        return {}
    steps = min(MAX_STEPS, max(1, math.ceil(COUNTED_S / max(step_s, 1e-6))))
    before = Status(energy_j=began_j)
    for _ in range(steps):
        stage.step(actor)
    after = Status(energy_j=energy_j())
    time.sleep(RESTED_S)
    return energy(before, None, after, steps, Status(energy_j=energy_j()))
