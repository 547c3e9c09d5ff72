"""Counts the host syncs of a step. At each of them the host waits until a GPU has done all its work and is idle."""

import sys
from collections import Counter
from contextlib import ExitStack
from typing import Any

from perfgate.actor.instrument import Instrument


class Syncs(Instrument):
    """Reads ``host_syncs`` of each step, and the finding of the same name by module path, operation and line.

    Compiled programs and compiled optimizers cannot be watched, so the metric is missing for them.
    """

    passes = frozenset({"counters"})

    def start(self) -> None:
        """Follow from now on which tensors are moved to the device, if the program has imported torch at all."""
        self._syncs: Any = None
        self._setup = ExitStack()
        self._following = ExitStack()
        self._step = ExitStack()
        if "torch" not in sys.modules:
            return
        from perfgate.actor.dry_run.calls import Calls  # need torch, which not every program does
        from perfgate.actor.dry_run.host_syncs import HostSyncs, pinning

        self._calls = Calls()
        emulates = self.device.name != "cuda"
        self._syncs = HostSyncs(lambda: frame.path if (frame := self._calls.innermost) else "", emulates)
        self._following.enter_context(pinning())
        self._setup.enter_context(self._syncs)

    def built(self, program: Any) -> None:
        """Learn the modules' names, and follow their calls."""
        self._setup.close()
        if self._syncs is None:
            return
        from perfgate.actor.dry_run.calls import networks_of
        from perfgate.actor.techniques.optimizers import COMPILED

        asked, _ = program.effective()
        if asked.get("compile", "off") != "off" or asked.get("optimizer") in COMPILED:
            self._following.close()
            self._syncs = None
            return
        for prefix, network in networks_of(program).items():
            self._calls.learn(network, prefix)
        self._following.enter_context(self._calls.followed())

    def begin_step(self) -> None:
        """Count from now on."""
        if self._syncs:
            from perfgate.actor.dry_run.host_syncs import Watcher

            self._syncs.found = Counter()
            self._syncs.counting = True
            self._step.enter_context(self._syncs)
            self._step.enter_context(Watcher(self._syncs.seen))

    def end_step(self) -> dict[str, float]:
        """Count how often the host waited in this step."""
        if not self._syncs:
            return {}
        self._step.close()
        self._syncs.counting = False
        return {"host_syncs": self._syncs.found.total()}

    def findings(self) -> dict[str, Any]:
        """The last step's waits by module path, operation and line."""
        self._following.close()
        return {"host_syncs": self._syncs.table()} if self._syncs else {}


INSTRUMENT = Syncs
