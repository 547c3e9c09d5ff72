"""Counts Python's calls in a step, while nothing else is watched."""

import gc
import sys
from typing import Any

from perfgate.actor.instrument import Instrument
from perfgate.actor.python_calls import Calls, Table, Taken
from perfgate.shared.metrics import PYTHON_CALLS


class PythonCalls(Instrument):
    """Reads ``python_calls`` of each step, and the last step's calls by file and function.

    The garbage collector is off meanwhile, because its calls depend on earlier work.
    """

    passes = frozenset({"counters"})
    by_itself = PYTHON_CALLS
    innermost = True

    def start(self) -> None:
        """Prepare to see the threads that the program will start."""
        self._calls = Calls()
        self._table: Table = {}
        self._joined = False
        self._collects = gc.isenabled()
        self._why_not = ""

    def begin_step(self) -> None:
        """Begin to count."""
        if not self._joined:
            self._join_autograd()
        self._collects = gc.isenabled()
        gc.collect()
        gc.disable()
        try:
            self._calls.begin()
        except Taken as reason:
            self._why_not = str(reason)

    def end_step(self) -> dict[str, int]:
        """Stop counting; returns nothing if another profiler is active."""
        try:
            if not self._why_not:
                self._table = self._calls.end()
        except Taken as reason:
            self._why_not = str(reason)
        if self._collects:
            gc.enable()
        return {} if self._why_not else {PYTHON_CALLS: sum(sum(found.values()) for found in self._table.values())}

    def _join_autograd(self) -> None:
        """Count the thread on which autograd computes a GPU's gradients; a CPU's use the step's own thread."""
        self._joined = True
        if self.device.torch_device == "cpu" or "torch" not in sys.modules:
            return
        import torch  # not every program needs it

        tensor = torch.ones((), device=self.device.torch_device, requires_grad=True)
        tensor.register_hook(lambda _: self._calls.join())
        (tensor * 2).backward()

    def findings(self) -> dict[str, Any]:
        """The last step's calls by file and function, and the conditions under which the count holds."""
        under = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {self.device.name}"
        return {PYTHON_CALLS: self._table, "counted_under": under, "uncounted": self._why_not}


INSTRUMENT = PythonCalls
