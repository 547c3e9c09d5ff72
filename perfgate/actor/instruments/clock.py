"""Time of a step: on the wall and on the processor."""

import time

from perfgate.actor.devices.base import Device
from perfgate.actor.instruments.base import Instrument


class Clock(Instrument):
    """``step_time_s`` is wall time; ``process_time_s`` is what the process itself spent computing.

    Of a burst it is the whole time, the wait at its end included, over the number of steps. Where the host waits for
    another device, its own time depends on how it waits, and is left out.
    """

    passes = frozenset({"time", "yardstick"})
    innermost = True

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._now_s = device.now_s
        self._wall = self._cpu = 0.0

    def begin_step(self) -> None:
        """Read both clocks, the wall's last."""
        self._cpu = time.process_time()
        self._wall = self._now_s()

    def end_step(self) -> dict[str, float]:
        """Read both clocks, the wall's first."""
        wall = self._now_s() - self._wall
        found = {"step_time_s": wall / self.steps}
        if self.device.name == "cpu":
            found["process_time_s"] = (time.process_time() - self._cpu) / self.steps
        return found


INSTRUMENT = Clock
