"""Marks of moments in a step, by the device and by this process's processor time, and the times between them."""

from typing import Any

from perfgate.actor.devices.base import Device

# A plain tuple, because calling another type would be counted. The second is ``None`` if the device does the step.
Mark = tuple[Any, float | None]


def mark_of(device: Device) -> Mark:
    """Mark this moment; the host does not wait for the device."""
    return device.mark(), device.processor_s()


def between(device: Device, name: str, begin: Mark, end: Mark, pieces: int = 1) -> dict[str, float]:
    """A metric's time between two marks, by the device and, if both marks have it, by the processor.

    Args:
        device: the device, which has reached both marks.
        name: the metric.
        begin: the first mark.
        end: the second one.
        pieces: the number of pieces to divide the time by.
    """
    result = {name: device.between_s(begin[0], end[0]) / pieces}
    if begin[1] is not None and end[1] is not None:
        result[f"process_{name}"] = (end[1] - begin[1]) / pieces
    return result
