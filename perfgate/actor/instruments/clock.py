"""The time of a step: wall time and processor time."""

import time

from perfgate.actor.devices.base import Device
from perfgate.actor.instruments.base import Instrument


class Clock(Instrument):
    """``step_time_s`` is wall time; ``process_time_s`` is the time that the process spent on a processor.

    The time of a burst, with the wait at its end, is divided by its steps. A host that waits for a GPU may spend
    processor time or not, as the driver likes, so ``process_time_s`` is read on a CPU only.
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
