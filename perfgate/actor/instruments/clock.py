"""Time of a step: on the wall and on the processor."""

import time

from perfgate.actor.devices import Device
from perfgate.actor.instruments import Instrument


class Clock(Instrument):
    """``step_time_s`` is wall time; ``process_time_s`` is what the process itself spent computing."""

    passes = frozenset({"time", "yardstick"})

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._wall = self._cpu = 0.0

    def begin_step(self) -> None:
        """Read both clocks, the wall's last."""
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def end_step(self) -> dict[str, float]:
        """Read both clocks, the wall's first."""
        wall = time.perf_counter() - self._wall
        return {"step_time_s": wall, "process_time_s": time.process_time() - self._cpu}


INSTRUMENT = Clock
