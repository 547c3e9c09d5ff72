"""The time that a whole run may take, and what is left of it for the case at hand."""

import time
from collections.abc import Callable


class Deadline:
    """Keeps time for the cases to come: what decides a suspect is spent out of the rest.

    Args:
        total_s: for the run; ``None`` for no limit.
        cases: how many are to be measured.
        clock: seconds from any moment on.
    """

    def __init__(self, total_s: float | None, cases: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = None if total_s is None else clock() + total_s
        self._cases = cases
        self._plain_s: list[float] = []

    @property
    def left_s(self) -> float:
        """Until the end; infinite without a limit."""
        return float("inf") if self._end is None else self._end - self._clock()

    def plain(self, took_s: float) -> None:
        """Learn what a case took before anything of it was suspect."""
        self._plain_s.append(took_s)

    def begins(self) -> bool:
        """Whether another case may begin: not if it could not end in time, judging by those before it."""
        self._cases -= 1
        return self.left_s > self._typical_s

    def allows(self, cost_s: float) -> bool:
        """Whether so much may be spent on the case at hand, and leave the others their plain share."""
        return self.left_s - max(self._cases, 0) * self._typical_s > cost_s

    @property
    def _typical_s(self) -> float:
        return sum(self._plain_s) / len(self._plain_s) if self._plain_s else 0.0
