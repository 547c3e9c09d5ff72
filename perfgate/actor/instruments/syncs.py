"""Reads of a tensor's value inside the model, each of which waits for a GPU to finish all that it was handed."""

from collections import Counter
from contextlib import ExitStack
from typing import Any

from perfgate.actor.instruments.base import Instrument


class Syncs(Instrument):
    """``host_syncs`` of each step, and by module path.

    Compiled programs and optimizers cannot be watched, so they have none.
    """

    passes = frozenset({"counters"})

    def start(self) -> None:
        """Nothing is watched until the program is built."""
        self._watcher: Any = None
        self._following = ExitStack()
        self.reads: Counter[tuple[str, str]] = Counter()

    def built(self, program: Any) -> None:
        """Learn the modules' names, and follow their calls."""
        network = program.network
        asked, _ = program.effective()
        if network is None or asked.get("compile", "off") != "off":
            return
        from perfgate.actor.dry_run.calls import Calls  # need torch, which not every program does
        from perfgate.actor.dry_run.host_syncs import Watcher, host_wait
        from perfgate.actor.techniques.optimizers import COMPILED

        if asked.get("optimizer") in COMPILED:
            return

        self._wait = host_wait
        self._calls = Calls()
        self._calls.learn(network)
        self._following.enter_context(self._calls.followed())
        self._watcher = Watcher(self._seen)

    def _seen(self, func: Any, args: tuple[Any, ...]) -> None:
        if (frame := self._calls.innermost) and (name := self._wait(func, args)):
            self.reads[frame.path, name] += 1

    def begin_step(self) -> None:
        """Watch from here on."""
        if self._watcher:
            self.reads.clear()
            self._watcher.__enter__()

    def end_step(self) -> dict[str, float]:
        """Count what was read in this step."""
        if not self._watcher:
            return {}
        self._watcher.__exit__(None, None, None)
        return {"host_syncs": self.reads.total()}

    def findings(self) -> dict[str, Any]:
        """The last step's reads by module path and operator."""
        self._following.close()
        table: dict[str, dict[str, int]] = {}
        for (path, name), count in sorted(self.reads.items()):
            table.setdefault(path, {})[name] = count
        return {"host_syncs": table} if self._watcher else {}


INSTRUMENT = Syncs
