"""The deadline of a run: whether another case may begin, and how much time the present case may spend."""

import time
from collections.abc import Callable

SPENT = "the run's time was spent before it began"  # the reason given for a case that may not begin


class Deadline:
    """Tracks the run's remaining time.

    Each case still to come keeps its usual share; only the surplus may go into extra duets for a suspect.

    Args:
        total_s: the run's time limit in seconds; ``None`` for no limit.
        cases: the number of cases for this process to measure.
        clock: returns seconds since a fixed moment.
    """

    def __init__(self, total_s: float | None, cases: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = None if total_s is None else clock() + total_s
        self._cases = cases
        self._plain_s: list[float] = []

    @property
    def left_s(self) -> float:
        """The seconds until the end; infinite without a limit."""
        return float("inf") if self._end is None else self._end - self._clock()

    def plain(self, took_s: float) -> None:
        """Record the seconds that a case took, without the extra duets for suspects."""
        self._plain_s.append(took_s)

    def begins(self) -> bool:
        """Whether another case may begin: it must be able to end in time if it takes as long as a usual case."""
        self._cases -= 1
        return self.left_s > self._typical_s

    def allows(self, cost_s: float) -> bool:
        """Whether the present case may spend this many seconds without cutting into the usual time of later cases."""
        return self.surplus_s > cost_s

    @property
    def surplus_s(self) -> float:
        """The seconds that the present case may spend beyond later cases' usual time; infinite without a limit."""
        return self.left_s - max(self._cases, 0) * self._typical_s

    @property
    def _typical_s(self) -> float:
        return sum(self._plain_s) / len(self._plain_s) if self._plain_s else 0.0
