"""Measures how much the host's memory grows within a step that works only on the host, such as reading data."""

import gc
import sys
import tracemalloc
from typing import Any

from perfgate.actor.instrument import Instrument

# Arrow returns buffers to the pool that they came from, so no pool may ever be deleted.
_pools: list[Any] = []


class HostMemory(Instrument):
    """Reads ``peak_host_bytes``: the peak of Python's and NumPy's allocations above the beginning of the step, and of
    Arrow's pool, each counted from the step's beginning.

    Python reports its allocations, so the number repeats itself; memory that other libraries take from the system
    themselves, such as a tokenizer in Rust, is not included, nor is that of other processes.
    """

    passes = frozenset({"memory"})

    def __init__(self, device: Any) -> None:
        super().__init__(device)
        self._watches = False
        self._began = 0
        self._peaks: list[int] = []

    def built(self, program: Any) -> None:
        """Begin to trace, if the program works only on the host."""
        self._watches = program.host_work
        if self._watches:
            tracemalloc.start()

    def begin_step(self) -> None:
        """Reset both peaks."""
        if not self._watches:
            return
        gc.collect()
        if arrow := sys.modules.get("pyarrow"):
            _pools.append(arrow.proxy_memory_pool(arrow.system_memory_pool()))
            arrow.set_memory_pool(_pools[-1])
        tracemalloc.reset_peak()
        self._began = tracemalloc.get_traced_memory()[0]

    def end_step(self) -> dict[str, int]:
        """Read both peaks."""
        if self._watches:
            traced = tracemalloc.get_traced_memory()[1] - self._began
            self._peaks.append(traced + (_pools[-1].max_memory() or 0 if _pools else 0))
            if arrow := sys.modules.get("pyarrow"):
                arrow.set_memory_pool(arrow.system_memory_pool())
        return {}

    def finish(self) -> dict[str, int]:
        """The smallest of the steps' peaks, because caches that fill gradually only ever add to a peak."""
        return {"peak_host_bytes": min(self._peaks)} if self._peaks else {}


INSTRUMENT = HostMemory
