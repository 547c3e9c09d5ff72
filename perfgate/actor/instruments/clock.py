"""Measures the time of a step: wall time, processor time, and time in the scheduler's queue."""

import os
from pathlib import Path
from threading import get_native_id
from time import thread_time

from perfgate.actor.devices.base import Device
from perfgate.actor.instrument import Instrument

TASKS = Path("/proc/self/task")


class Clock(Instrument):
    """Reads ``step_time_s``, which is wall time. For a burst, it is the time of the whole burst divided by its steps.

    If this process itself computes the step, three more metrics say where the time went:

    - ``process_time_s``: processor time of all its threads;
    - ``queue_time_s``: how long its threads were ready to run while others had the core, by the scheduler's account;
    - ``idle_time_s``: how long the thread that takes the step neither computed nor waited for a core: it slept, did
      input or output, or waited for a lock or for other threads.

    The last two need Linux's ``/proc/PID/task/TID/schedstat`` and are left out on other systems.
    """

    passes = frozenset({"time", "yardstick"})
    innermost = True

    def __init__(self, device: Device) -> None:
        super().__init__(device)
        self._now_s = device.now_s
        self._wall = self._cpu = self._own = 0.0
        self._queue: Queue | None = None
        self._queued = (0.0, 0.0)

    def begin_step(self) -> None:
        """Read all clocks, the wall's last."""
        computed_s = self.device.processor_s()
        if computed_s is not None:
            # The thread that takes the steps is known only now: it is this one.
            self._queue = self._queue or Queue.of_this_thread()
            self._queued = self._queue.waited_s() if self._queue else (0.0, 0.0)
            self._own, self._cpu = thread_time(), self.device.processor_s() or 0.0
        self._wall = self._now_s()

    def end_step(self) -> dict[str, float]:
        """Read all clocks, the wall's first."""
        wall_s = self._now_s() - self._wall
        found = {"step_time_s": wall_s}
        computed_s = self.device.processor_s()
        if computed_s is not None:
            own_s = thread_time() - self._own
            found["process_time_s"] = computed_s - self._cpu
            if self._queue:
                own, everyone = self._queue.waited_s()
                found["queue_time_s"] = max(0.0, everyone - self._queued[1])
                found["idle_time_s"] = max(0.0, wall_s - own_s - (own - self._queued[0]))
        return {name: seconds / self.steps for name, seconds in found.items()}


class Queue:
    """Reads how long this process's threads have waited for a core, by the scheduler's own account.

    Args:
        thread: the id of the thread that takes the steps.
    """

    def __init__(self, thread: int) -> None:
        self._thread = str(thread)
        self._file = os.open(TASKS / self._thread / "schedstat", os.O_RDONLY)

    @classmethod
    def of_this_thread(cls) -> "Queue | None":
        """The queue in which the calling thread takes the steps; ``None`` if the kernel keeps no account."""
        try:
            queue = cls(get_native_id())
            queue.waited_s()
        except (OSError, ValueError, IndexError):
            return None
        return queue

    def waited_s(self) -> tuple[float, float]:
        """Seconds waited so far, by the thread that takes the steps and by all threads together."""
        own_s = queued_s(os.pread(self._file, 100, 0))
        others_s = 0.0
        for thread in TASKS.iterdir():
            if thread.name != self._thread:
                try:
                    others_s += queued_s((thread / "schedstat").read_bytes())
                except OSError:  # the thread has ended meanwhile
                    continue
        return own_s, own_s + others_s


def queued_s(account: bytes) -> float:
    """The second number of a ``schedstat``: nanoseconds in which a thread was ready to run but did not run."""
    return int(account.split()[1]) / 1e9


INSTRUMENT = Clock
