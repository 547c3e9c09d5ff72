"""Counts the kernels and copies that a step starts on a GPU, by the profiler, and names the modules behind them."""

from contextlib import ExitStack
from typing import Any

from perfgate.actor.compiled import compiles
from perfgate.actor.instrument import Instrument
from perfgate.actor.launched import Span, by_module, launches, marked
from perfgate.actor.tables import Table
from perfgate.shared.device_kinds import DEVICE_KINDS


class Kernels(Instrument):
    """Reads ``kernel_launches`` and ``copies`` of each step; nothing on a CPU.

    Its findings name kernels and copies by the module that launched them. The first step is not recorded, because it
    may compile the program, and calls of compiled modules cannot be marked.
    """

    passes = frozenset({"counters"})

    def start(self) -> None:
        """Prepare to record."""
        self._networks: dict[str, Any] = {}
        self._tables: dict[str, Table] = {}
        self._steps = 0
        self._marking = ExitStack()

    def built(self, program: Any) -> None:
        """Learn the modules' names."""
        if DEVICE_KINDS[self.device.name].gpu:
            from perfgate.actor.dry_run.calls import networks_of  # needs torch, which not every program does

            self._networks = networks_of(program)

    def begin_step(self) -> None:
        """Record this step."""
        if self._steps and self._networks and not compiles():
            self._marking.enter_context(marked(self._networks))
        self.device.begin_record(host=self._steps > 0)
        self._steps += 1

    def end_step(self) -> dict[str, float]:
        """Count what was recorded."""
        record = self.device.end_record()
        self._marking.close()
        if not record:
            return {}
        spans = [Span.of(event) for event in record.of_host]
        told = {"kernels": record.kernels, "copies": record.memory}
        self._tables = {name: by_module(launches(found, record.of_host), spans) for name, found in told.items()}
        return {"kernel_launches": record.launches, "copies": record.copies}

    def findings(self) -> dict[str, Any]:
        """The last step's kernels and copies by module path and name."""
        return dict(self._tables)


INSTRUMENT = Kernels
