"""Steps that became slower while most did not."""

import pytest

from perfgate.gate.slow_steps import slow_steps
from perfgate.records.launch import Launch

BEFORE = [1.0, 1.1] * 30


def pair(now, before=BEFORE):
    """The two launches of a duet."""
    return tuple(Launch("case", "workload", 0, {"step_time_s": steps}) for steps in (before, now))


@pytest.mark.parametrize(
    ("now", "told"),
    [
        ([step * (3 if number % 3 == 0 else 1) for number, step in enumerate(BEFORE)], "20 of 60 steps"),
        ([step * (2 if number % 10 == 0 else 1) for number, step in enumerate(BEFORE)], "6 of 60 steps"),
        ([step * (2 if number % 12 == 0 else 1) for number, step in enumerate(BEFORE)], ""),  # five may be chance
        ([step * 1.2 for step in BEFORE], ""),  # the median tells it
        ([step * (1.6, 1, 1 / 1.6)[number % 3] for number, step in enumerate(BEFORE)], ""),  # noise
    ],
)
def test_a_minority_of_slow_steps_is_told_unless_it_is_noise(now, told):
    found = slow_steps([pair(now)], 0.03)
    assert told in found
    assert bool(found) == bool(told)
    # Both sides have had them all along, and beside a tolerance that large they do not matter.
    assert not slow_steps([pair(now, now)], 0.03)
    assert not slow_steps([pair(now)], 2.0)


def test_several_duets_count_together():
    now = [step * (2 if number % 12 == 0 else 1) for number, step in enumerate(BEFORE)]
    assert "15 of 180 steps" in slow_steps([pair(now)] * 3, 0.03)
