"""Measures the time that a rank spends on collective communication, in steps that are not timed."""

import sys
from typing import Any

from perfgate.actor.devices.base import covered
from perfgate.actor.instrument import Instrument
from perfgate.shared.device_kinds import DEVICE_KINDS


class Communication(Instrument):
    """Reads ``communication_s``, ``communication_share`` and ``collectives`` of a step of several ranks.

    They come from the profiler, which slows a step down, so they are read in separate steps. Communication that
    overlaps with computation counts, and so does waiting for a late rank.
    """

    passes = frozenset({"time"})
    by_itself = "communication"

    def built(self, program: Any) -> None:
        """Note whether there are other ranks."""
        self._talks = program.ranks > 1 and "torch" in sys.modules
        self._profile: Any = None

    def begin_step(self) -> None:
        """Start the profiler."""
        if not self._talks:
            return
        from torch.profiler import ProfilerActivity, profile  # a single process does not need it

        activity = DEVICE_KINDS[self.device.name].activity
        self._profile = profile(activities=[getattr(ProfilerActivity, activity)])
        self._profile.start()
        self._begin_s = self.device.now_s()

    def end_step(self) -> dict[str, Any]:
        """Add up the time of collectives; time in which several overlap counts once."""
        if self._profile is None:
            return {}
        took_s = self.device.now_s() - self._begin_s
        self._profile.stop()
        events = self._profile.profiler.kineto_results.events()
        names = DEVICE_KINDS[self.device.name].collectives
        found = [event for event in events if event.name().startswith(names)]
        spans = [(event.start_ns(), event.start_ns() + event.duration_ns()) for event in found]
        seconds = covered(spans) / 1e9
        return {"communication_s": seconds, "communication_share": seconds / took_s, "collectives": len(found)}


INSTRUMENT = Communication
