"""Kernels and copies that a step hands to a CUDA device, counted by the profiler."""

from typing import Any

from perfgate.actor.instruments import Instrument

COPIES = ("memcpy", "memset")


class Kernels(Instrument):
    """``kernel_launches`` and ``copies`` of each step; nothing on a CPU, which has neither."""

    passes = frozenset({"counters"})

    def begin_step(self) -> None:
        """Let the profiler watch this step alone."""
        self._profile: Any = None
        if self.device.name != "cuda":
            return
        from torch.profiler import ProfilerActivity, profile  # not needed without a GPU

        self._profile = profile(activities=[ProfilerActivity.CUDA])
        self._profile.start()

    def end_step(self) -> dict[str, float]:
        """Count what ran on the device (https://docs.pytorch.org/docs/stable/profiler.html)."""
        if self._profile is None:
            return {}
        self.device.synchronize()
        self._profile.stop()
        events = self._profile.profiler.kineto_results.events()
        names = [event.name().lower() for event in events if str(event.device_type()).endswith("CUDA")]
        copies = sum(name.startswith(COPIES) for name in names)
        return {"kernel_launches": len(names) - copies, "copies": copies}


INSTRUMENT = Kernels
