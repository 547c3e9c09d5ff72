"""Change points of one series, on generated values with fixed seeds."""

import math

import numpy as np
import pytest

from perfgate.history.segments import bound, exact_steps, segments, steps, worth_segments

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


def test_steps_are_found_where_neighbours_depend_on_each_other() -> None:
    """Three of four, and most of those within few runs: a step of 1.5 standard deviations, 30 and 40 runs old."""
    found = 0
    for seed in range(40):
        values = noise(seed, 130, 0.02, 0.5)
        values[100:] *= 1.03
        found += any(abs(step.at - 100) <= 15 for step in steps(list(values), 0.1))
    assert found >= 26
    assert sum(len(steps(list(noise(seed, 200, 0.02, 0.5)), 0.1)) for seed in range(100, 140)) <= 8


def test_many_changes_do_not_pass_for_dependence() -> None:
    values = noise(6, 240) * np.repeat([1.0, 1.1, 1.0, 0.9, 1.05, 1.15], 40)
    assert [found.at for found in steps(list(values), ALPHA)] == pytest.approx([40, 80, 120, 160, 200], abs=2)


@pytest.mark.parametrize("length", [3, 12, 60, 450])
def test_a_glance_at_a_long_series_misses_no_change(length: int) -> None:
    """The step is as large as the penalty asks for, so a glance that asked for more would miss it."""
    values = noise(7, 900)
    values[450 : 450 + length] *= 1 + 0.08 / math.sqrt(min(length, 30))
    series = np.log(values) / 0.01
    cuts = segments(series, bound(ALPHA, 900) ** 2)
    assert len(cuts) > 1
    assert worth_segments(series, bound(ALPHA, 900))
    assert not worth_segments(np.log(noise(8, 900)) / 0.01, bound(1e-5, 900))


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
