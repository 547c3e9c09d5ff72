"""Measures a step's time on the device's own clock."""

import statistics
from typing import Any

from perfgate.actor.instrument import Instrument


class DeviceTime(Instrument):
    """Reads ``device_time_s`` of a step, and ``device_spans_s``, a list with each step of a burst; nothing on a CPU.

    These times run from event to event and include waiting for the host; ``device_busy_s`` of the counters pass does
    not.
    """

    passes = frozenset({"time"})

    def end_step(self) -> dict[str, Any]:
        """Read the device's marks."""
        spans_s = self.device.spans_s()
        return {"device_time_s": statistics.fmean(spans_s), "device_spans_s": spans_s} if spans_s else {}


INSTRUMENT = DeviceTime
