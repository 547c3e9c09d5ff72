"""Times of the steps of a burst, on the clock of a device whose calls return before the work is done."""

import itertools
import time
from typing import Any

MARKS_S = 1e-3  # the least time between two events of a burst


class Bursts:
    """The marks of a burst: one at its beginning, and one after each step, at least a millisecond after the last mark.

    A mark takes no time on the device and some microseconds on the host, which is much for a step of ten microseconds.
    """

    def __init__(self) -> None:
        self._marks: list[tuple[int, Any]] = []
        self._steps, self._marked_s = 0, 0.0

    def mark(self) -> Any:
        """Mark the current point in the device's work, without waiting for it."""
        raise NotImplementedError

    def between_s(self, begin: Any, end: Any) -> float:
        """Seconds from one mark to another; the device must have reached both."""
        raise NotImplementedError

    def begin_burst(self) -> None:
        """Record an event at the beginning of the burst."""
        self._steps, self._marks, self._marked_s = 0, [(0, self.mark())], time.perf_counter()

    def stepped(self) -> None:
        """Record an event at the end of a step, if the last one is a millisecond old."""
        self._steps += 1
        now_s = time.perf_counter()
        if now_s - self._marked_s >= MARKS_S:
            self._marks.append((self._steps, self.mark()))
            self._marked_s = now_s

    def spans_s(self) -> list[float]:
        """The mean time of a step from event to event, including time in which the device waits for the host."""
        marks, self._marks = self._marks, []
        return [
            self.between_s(begin, end) / (after - before) for (before, begin), (after, end) in itertools.pairwise(marks)
        ]
