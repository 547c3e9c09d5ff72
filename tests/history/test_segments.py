"""Change points of one series, on generated values with fixed seeds."""

import math

import numpy as np
import pytest

from perfgate.history.segments import exact_steps, steps

ALPHA = 0.01


def noise(seed: int, count: int, spread: float = 0.01, memory: float = 0.0) -> np.ndarray:
    """Values around 1 of an autoregressive series whose neighbours are correlated by ``memory``."""
    generator = np.random.default_rng(seed)
    found = [0.0]
    for _ in range(count):
        found.append(memory * found[-1] + math.sqrt(1 - memory**2) * generator.standard_normal())
    return np.exp(spread * np.asarray(found[1:]))


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_a_series_without_a_change_shows_none(memory: float) -> None:
    assert not any(steps(list(noise(seed, 120, memory=memory)), ALPHA) for seed in range(20))


def test_a_step_is_found_at_its_place_with_an_interval_around_it() -> None:
    values = noise(1, 100)
    values[60:] *= 1.05
    (found,) = steps(list(values), ALPHA)
    assert abs(found.at - 60) <= 2
    assert found.low < 0.05 < found.high
    assert found.low > 0.03


def test_a_step_down_and_up_again_are_two() -> None:
    values = noise(2, 120)
    values[40:80] *= 0.9
    assert [round(found.change, 1) for found in steps(list(values), ALPHA)] == [-0.1, 0.1]


def test_single_outliers_and_a_machine_with_two_speeds_are_no_changes() -> None:
    lonely = noise(3, 100)
    lonely[[20, 55, 90]] *= 1.8
    two_speeds = noise(4, 100) * np.where(np.random.default_rng(4).random(100) < 0.25, 1.06, 1.0)
    assert not steps(list(lonely), ALPHA)
    assert not steps(list(two_speeds), ALPHA)


def test_a_huge_step_hides_no_small_one() -> None:
    values = noise(5, 120)
    values[40:] *= 2856
    values[90:] *= 1.05
    assert [round(found.change, 2) for found in steps(list(values), ALPHA)][1] == pytest.approx(0.05, abs=0.01)


def test_fewer_sessions_than_tell_a_spread_decide_nothing() -> None:
    assert steps([1.0] * 3 + [2.0] * 4, ALPHA) == []


def test_a_metric_that_repeats_exactly_changed_wherever_it_differs() -> None:
    found = exact_steps([100, 100, 105, 105, 0, 0])
    assert [(one.at, round(one.change, 9)) for one in found] == [(2, 0.05), (4, -1.0)]
    assert exact_steps([0, 0, 3])[0].change == math.inf


def test_a_time_that_never_varied_is_told_like_a_count() -> None:
    assert [found.at for found in steps([1.0] * 10 + [1.5] * 10, ALPHA)] == [10]
