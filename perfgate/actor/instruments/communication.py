"""How long a rank is at work on collectives, in steps that nothing else is read from."""

import sys
from typing import Any

from perfgate.actor.instruments.base import Instrument
from perfgate.actor.instruments.kernels import covered

COLLECTIVES = ("gloo:", "nccl:", "ncclDevKernel", "ncclKernel")


class Communication(Instrument):
    """``communication_s``, ``communication_share`` and ``collectives`` of a step of several ranks.

    From the profiler's events, so in steps of their own. What overlaps with computing counts, and so does waiting for a
    rank that is late.
    """

    passes = frozenset({"time"})
    by_itself = "communication"

    def built(self, program: Any) -> None:
        """Learn whether there is anybody to talk to."""
        self._talks = program.ranks > 1 and "torch" in sys.modules
        self._profile: Any = None

    def begin_step(self) -> None:
        """Let the profiler watch."""
        if not self._talks:
            return
        from torch.profiler import ProfilerActivity, profile  # not needed by one process alone

        kinds = {"cpu": ProfilerActivity.CPU, "cuda": ProfilerActivity.CUDA}
        self._profile = profile(activities=[kinds[self.device.name]])
        self._profile.start()
        self._begin_s = self.device.now_s()

    def end_step(self) -> dict[str, Any]:
        """Add up what collectives took; those that go on at the same time count once."""
        if self._profile is None:
            return {}
        took_s = self.device.now_s() - self._begin_s
        self._profile.stop()
        events = self._profile.profiler.kineto_results.events()
        found = [event for event in events if event.name().startswith(COLLECTIVES)]
        spans = [(event.start_ns(), event.start_ns() + event.duration_ns()) for event in found]
        seconds = covered(spans) / 1e9
        return {"communication_s": seconds, "communication_share": seconds / took_s, "collectives": len(found)}


INSTRUMENT = Communication
