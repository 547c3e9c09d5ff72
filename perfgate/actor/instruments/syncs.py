"""Counts the host syncs of a step. At each of them the host waits until a GPU has done all its work and is idle."""

import sys
from collections import Counter
from contextlib import ExitStack
from typing import Any

from perfgate.actor.compiled import compiles, may_compile
from perfgate.actor.instrument import Instrument
from perfgate.shared.device_kinds import DEVICE_KINDS


class Syncs(Instrument):
    """Reads ``host_syncs`` of each step, and the finding of the same name by module path, operation and line.

    A watched program runs as if it were not compiled. On a GPU the first step, in which programs compile, is therefore
    not watched; for a program that did compile, torch's own warnings report the waits from then on. On a CPU a program
    that compiles is not watched at all, and the metric is missing. It is also missing on a GPU for which
    ``torch.cuda`` does not report waits.
    """

    passes = frozenset({"counters"})

    def start(self) -> None:
        """Begin to follow tensors that are moved to the device, if the program imported torch at all."""
        self._syncs: Any = None
        self._gpu = DEVICE_KINDS[self.device.name].gpu
        self._networks: dict[str, Any] = {}
        self._waited: Counter[tuple[str, str]] = Counter()
        self._steps = 0
        self._setup = ExitStack()
        self._following = ExitStack()
        self._step = ExitStack()
        untold = self._gpu and not DEVICE_KINDS[self.device.name].torch_cuda
        if untold or "torch" not in sys.modules:
            return
        from perfgate.actor.dry_run.calls import Calls  # need torch, which not every program does
        from perfgate.actor.dry_run.host_syncs import HostSyncs, pinning

        self._calls = Calls()
        self._syncs = HostSyncs(self._path, emulates=not self._gpu)
        if not self._gpu:
            self._following.enter_context(pinning())
            self._setup.enter_context(self._syncs)

    def _path(self) -> str:
        return frame.path if (frame := self._calls.innermost) else ""

    def built(self, program: Any) -> None:
        """Learn the modules' names."""
        self._setup.close()
        if self._syncs is None:
            return
        from perfgate.actor.dry_run.calls import networks_of
        from perfgate.actor.techniques.optimizers import COMPILED

        self._networks = networks_of(program)
        if self._gpu:
            return
        if may_compile(program) or program.effective()[0].get("optimizer") in COMPILED:
            self._following.close()
            self._syncs = None
            return
        self._follow()

    def _follow(self) -> None:
        """Follow the calls of modules."""
        for prefix, network in self._networks.items():
            self._calls.learn(network, prefix)
        self._following.enter_context(self._calls.followed())

    def begin_step(self) -> None:
        """Begin to count."""
        self._steps += 1
        if self._syncs is None or self._unwatched():
            return
        self._waited.clear()
        if self._gpu:
            from perfgate.actor.dry_run.waits import explicit_waits, warned_waits

            if self._steps == 2 and not compiles():
                self._follow()
            self._step.enter_context(explicit_waits(self._note))
            if compiles():
                self._step.enter_context(warned_waits(self._note))
                return
        from perfgate.actor.dry_run.host_syncs import Watcher

        self._syncs.found = self._waited
        self._syncs.counting = True
        self._step.enter_context(self._syncs)
        self._step.enter_context(Watcher(self._syncs.seen))

    def _unwatched(self) -> bool:
        """Whether this is a step in which the program may compile itself."""
        return self._gpu and self._steps == 1

    def _note(self, what: str) -> None:
        from perfgate.actor.dry_run.waits import at_place

        self._waited[self._path(), at_place(what)] += 1

    def end_step(self) -> dict[str, float]:
        """Count how often the host waited in this step."""
        if self._syncs is None or self._unwatched():
            return {}
        self._step.close()
        self._syncs.counting = False
        return {"host_syncs": self._waited.total()}

    def findings(self) -> dict[str, Any]:
        """The last step's waits by module path, operation and line."""
        self._following.close()
        if self._syncs is None:
            return {}
        from perfgate.actor.dry_run.host_syncs import table_of

        return {"host_syncs": table_of(self._waited)}


INSTRUMENT = Syncs
