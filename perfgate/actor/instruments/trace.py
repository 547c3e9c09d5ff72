"""Records a step's activity on host and device in a file for trace viewers."""

import os
import sys
from contextlib import ExitStack
from typing import Any

from perfgate.actor.compiled import compiles
from perfgate.actor.instrument import Instrument
from perfgate.shared.device_kinds import DEVICE_KINDS


class Trace(Instrument):
    """Writes the last step or burst to the file ``into``, in Chrome's format and compressed.

    Operators have the shapes of their inputs, and calls of modules are marked by their paths, except in compiled
    programs. With several ranks only the first one writes. A program that does not use torch has no trace.
    """

    passes = frozenset({"trace"})
    by_itself = "trace"
    innermost = True

    def start(self) -> None:
        """Prepare to record."""
        self._profile: Any = None
        self._marking = ExitStack()

    def built(self, program: Any) -> None:
        """Keep the program, whose modules are marked."""
        self._program = program

    def begin_step(self) -> None:
        """Start the profiler (https://docs.pytorch.org/docs/stable/profiler.html)."""
        if "torch" not in sys.modules:
            return
        from torch.profiler import ProfilerActivity, profile  # not every program needs torch

        activities = {ProfilerActivity.CPU, getattr(ProfilerActivity, DEVICE_KINDS[self.device.name].activity)}
        self._profile = profile(activities=activities, record_shapes=True, profile_memory=True)
        if not compiles():
            self._mark()
        self._profile.start()

    def _mark(self) -> None:
        """Mark calls of modules, unless torch is too old for marks."""
        from perfgate.actor.dry_run.calls import networks_of

        try:
            from perfgate.actor.launched import marked

            self._marking.enter_context(marked(networks_of(self._program)))
        except ImportError:
            return

    def end_step(self) -> dict[str, Any]:
        """Stop the profiler."""
        if self._profile is not None:
            self._profile.stop()
        self._marking.close()
        return {}

    def findings(self) -> dict[str, Any]:
        """Write the file."""
        if self._profile is None or not self._profile.profiler.kineto_results.events():
            return {}
        if self._program.ranks == 1 or os.environ["RANK"] == "0":
            self._profile.export_chrome_trace(self.into)
        return {"traced": True}


INSTRUMENT = Trace
