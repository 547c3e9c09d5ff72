"""Measures each step of a burst on the device's own clock."""

from typing import Any

from perfgate.actor.instrument import Instrument


class DeviceSpans(Instrument):
    """Reads ``device_spans_s``, a list with each step of a burst; nothing on a CPU.

    These times run from event to event and include waiting for the host; ``device_time_s`` does not.
    """

    passes = frozenset({"time"})

    def end_step(self) -> dict[str, Any]:
        """Read the device's marks."""
        spans_s = self.device.spans_s()
        return {"device_spans_s": spans_s} if spans_s else {}


INSTRUMENT = DeviceSpans
