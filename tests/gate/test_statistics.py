"""How sure the gate is: known answers, properties that hold for any launches, rates of error on seeded noise."""

import math
import random
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from perfgate.gate import duets
from perfgate.gate.statistics import (
    SESSION_PRIOR,
    Difference,
    against_sessions,
    safe_expm1,
    t_quantile,
)
from perfgate.gate.verdicts import ALPHA, Comparison, noisy_verdict, share_of_alpha

TOLERANCE = 0.03
QUIET, TYPICAL, NOISY = (0.003, 0.004), (0.006, 0.015), (0.012, 0.03)
MACHINES = {"quiet": QUIET, "typical": TYPICAL, "noisy": NOISY}
A_HUNDRED_CASES = share_of_alpha(100)

# The same examples each time: a gate has no use for a test that fails now and then.
examples = settings(deadline=None, derandomize=True, database=None, max_examples=100)

values = st.floats(-0.2, 0.2).map(lambda value: round(value, 6))
groups = st.lists(st.lists(values, min_size=2, max_size=4), min_size=1, max_size=6)
candidates = st.lists(values, min_size=2, max_size=5)
shifts = st.floats(-3, 3).map(lambda value: round(value, 6))
alphas = st.floats(1e-6, 0.4)


def difference(sessions: list[list[float]], candidate: list[float]) -> Difference:
    """The difference, where there is one."""
    found = against_sessions({str(number): group for number, group in enumerate(sessions)}, candidate)
    assert found is not None
    return found


def of_pairs(differences: list[float]) -> Difference | None:
    """Duets with these differences, all from one pair of servers."""
    return duets.difference([duets.Duet(value) for value in differences])


def verdict(found: Difference | None, alpha: float, threshold: float = TOLERANCE) -> str:
    """What the gate says of a time with this difference."""
    return noisy_verdict(Comparison("case", "step_time_s", 1.0, 1.0, 3, TOLERANCE), found, alpha, threshold).verdict


# -- known answers ----------------------------------------------------------------------------------------------------


def test_nothing_is_known_without_launches_on_both_sides() -> None:
    assert against_sessions({}, [0.0, 0.0]) is None
    assert against_sessions({"a": []}, [0.0, 0.0]) is None
    assert against_sessions({"a": [0.0, 0.0]}, []) is None


@pytest.mark.parametrize("sessions", [1, 2, 3, 10])
def test_one_launch_in_each_session_shows_no_spread(sessions: int) -> None:
    assert against_sessions({str(number): [0.1 * number] for number in range(sessions)}, [0.0]) is None


def test_two_launches_on_one_side_are_enough_for_a_spread() -> None:
    assert against_sessions({"a": [0.0]}, [0.0, 0.1]) is not None
    assert against_sessions({"a": [0.0, 0.1]}, [0.0]) is not None


def test_launches_that_do_not_vary_leave_no_doubt() -> None:
    found = difference([[1.0, 1.0]] * 3, [1.25, 1.25])

    assert found.estimate == 0.25
    assert found.error == 0
    assert found.upper() == 0.25
    assert found.lower(1e-6) <= 0.25 <= found.better(1e-6)


def test_with_as_many_launches_in_every_session_the_error_is_that_of_the_sessions_means() -> None:
    sessions = [[0.00, 0.02], [0.10, 0.14], [-0.06, -0.05], [0.03, 0.05]]
    means = [statistics.fmean(group) for group in sessions]

    found = difference(sessions, [0.2, 0.22])

    assert found.error == pytest.approx(math.sqrt(statistics.variance(means) * (1 + 1 / len(means))))
    assert found.estimate == pytest.approx(0.21 - statistics.fmean(means))


def test_a_long_session_weighs_no_more_than_a_short_one() -> None:
    found = difference([[0.0] * 50, [0.3], [0.6]], [0.3, 0.3])

    assert found.estimate == pytest.approx(0, abs=1e-12)


def test_duets_have_the_interval_of_a_one_sample_t_test() -> None:
    differences = [0.011, 0.026, -0.004, 0.017, 0.02]
    expected = stats.ttest_1samp(differences, 0).confidence_interval(0.98)

    found = of_pairs(differences)

    assert found is not None
    assert (found.lower(0.01), found.upper(0.99)) == pytest.approx((expected.low, expected.high))


def test_fewer_than_two_duets_show_no_spread() -> None:
    assert of_pairs([]) is None
    assert of_pairs([0.5]) is None
    assert verdict(of_pairs([0.5]), 0.01) == "inconclusive"


@pytest.mark.parametrize("df", [1, 2.5, 30, 1e6, math.inf])
def test_quantiles_are_those_of_students_t(df: float) -> None:
    expected = stats.norm.ppf(0.9999) if math.isinf(df) else stats.t.ppf(0.9999, df)

    assert t_quantile(0.9999, df) == pytest.approx(expected)


def test_a_change_beyond_all_bounds_is_still_a_number() -> None:
    assert math.isfinite(safe_expm1(1e6))
    assert math.isfinite(Difference(0.0, 10.0, 1.0, 10.0, 1.0, 2).smallest_detectable(1e-9, 0.01))


# -- properties -------------------------------------------------------------------------------------------------------


@examples
@given(groups, candidates, st.floats(0, 2), alphas)
def test_a_larger_slowdown_is_never_judged_milder(
    sessions: list[list[float]], candidate: list[float], more: float, alpha: float
) -> None:
    rank = {"improved": 0, "pass": 1, "inconclusive": 2, "regressed": 3}
    before = difference(sessions, candidate)
    after = difference(sessions, [value + more for value in candidate])

    assert after.lower(alpha) >= before.lower(alpha) - 1e-9
    assert after.upper() >= before.upper() - 1e-9
    if more > 1e-6:
        assert rank[verdict(after, alpha)] >= rank[verdict(before, alpha)]


@examples
@given(groups, candidates, st.randoms(use_true_random=False), alphas)
def test_the_order_of_launches_and_sessions_does_not_matter(
    sessions: list[list[float]], candidate: list[float], generator: random.Random, alpha: float
) -> None:
    shuffled = [generator.sample(group, len(group)) for group in generator.sample(sessions, len(sessions))]
    one = difference(sessions, candidate)
    two = difference(shuffled, generator.sample(candidate, len(candidate)))

    assert two.lower(alpha) == pytest.approx(one.lower(alpha), abs=1e-9)
    assert two.upper() == pytest.approx(one.upper(), abs=1e-9)


@examples
@given(groups, candidates, shifts, alphas)
def test_the_unit_does_not_matter(
    sessions: list[list[float]], candidate: list[float], shift: float, alpha: float
) -> None:
    one = difference(sessions, candidate)
    two = difference([[value + shift for value in group] for group in sessions], [value + shift for value in candidate])

    assert two.lower(alpha) == pytest.approx(one.lower(alpha), abs=1e-7)
    assert two.upper() == pytest.approx(one.upper(), abs=1e-7)
    assert two.better(alpha) == pytest.approx(one.better(alpha), abs=1e-7)


@examples
@given(groups, candidates, alphas)
def test_the_bounds_enclose_the_estimate(sessions: list[list[float]], candidate: list[float], alpha: float) -> None:
    found = difference(sessions, candidate)

    assert found.lower(alpha) <= found.estimate <= found.upper()
    assert found.estimate <= found.better(alpha)


@examples
@given(st.lists(st.lists(values, min_size=2, max_size=4), min_size=1, max_size=2), candidates)
def test_few_sessions_are_drawn_towards_two_percent(sessions: list[list[float]], candidate: list[float]) -> None:
    found = difference(sessions[:1], candidate)

    assert SESSION_PRIOR == 0.02
    assert found.widened
    assert found.wide_error == pytest.approx(math.hypot(found.error, SESSION_PRIOR * math.sqrt(2)))


@examples
@given(groups.filter(lambda sessions: len(sessions) >= 2), candidates)
def test_the_note_of_the_prior_ends_when_the_sessions_outweigh_it(
    sessions: list[list[float]], candidate: list[float]
) -> None:
    assert difference(sessions, candidate).widened == (len(sessions) < 5)


def test_the_prior_fades_as_sessions_come_in() -> None:
    quiet = [[0.001, -0.001], [0.002, 0.0], [-0.001, 0.001]]
    errors = [difference(quiet * count, [0.0, 0.0]).wide_error for count in (1, 3, 6, 20)]

    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 0.015
    assert errors[-1] < 0.006


@examples
@given(groups, candidates, st.floats(1e-6, 0.2), st.floats(0, 0.05))
def test_the_smallest_detectable_change_grows_as_fewer_false_alarms_are_allowed(
    sessions: list[list[float]], candidate: list[float], alpha: float, threshold: float
) -> None:
    found = difference(sessions, candidate)
    strict, lax = (found.smallest_detectable(level, threshold) for level in (alpha / 10, alpha))

    assert strict >= lax - 1e-9
    assert lax >= math.expm1(threshold) - 1e-12


@examples
@given(st.lists(values, min_size=2, max_size=8), st.floats(-0.5, 0.5), alphas)
def test_exchanging_the_sides_of_duets_mirrors_their_bounds(
    differences: list[float], shift: float, alpha: float
) -> None:
    one = of_pairs([value + shift for value in differences])
    two = of_pairs([-value - shift for value in differences])

    assert one is not None
    assert two is not None
    assert two.better(alpha) == pytest.approx(-one.lower(alpha), abs=1e-9)


# -- rates of error on seeded noise -----------------------------------------------------------------------------------


def simulated(
    generator: random.Random, machine: tuple[float, float], sessions: int, effect: float = 0.0, launches: int = 3
) -> Difference:
    """One run against a baseline, both drawn from a machine with this spread of launches and of sessions."""
    launch_sd, session_sd = machine

    def session(centre: float) -> list[float]:
        middle = generator.gauss(centre, session_sd)
        return [generator.gauss(middle, launch_sd) for _ in range(launches)]

    return difference([session(0.0) for _ in range(sessions)], session(effect))


@pytest.fixture
def undetailed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out what a verdict only tells: the smallest change that would have been seen takes most of its time."""
    monkeypatch.setattr(Difference, "smallest_detectable", lambda *arguments: 0.0)


def alarms(machine: tuple[float, float], sessions: int, alpha: float, runs: int, threshold: float = TOLERANCE) -> int:
    """How many runs of an unchanged program fail."""
    generator = random.Random(f"{machine} {sessions} {alpha}")
    found = (simulated(generator, machine, sessions) for _ in range(runs))
    return sum(verdict(one, alpha, threshold) == "regressed" for one in found)


def allowed(runs: int, alpha: float) -> int:
    """More alarms than this would be seen in one of a thousand such tests, if their rate were just ``alpha``."""
    return int(stats.binom.ppf(0.999, runs, alpha))


@pytest.mark.usefixtures("undetailed")
@pytest.mark.parametrize("sessions", [3, 5, 10])
@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.slice
def test_false_alarms_stay_below_their_nominal_share(machine: str, sessions: int) -> None:
    runs, alpha = 600, 0.05

    assert alarms(MACHINES[machine], sessions, alpha, runs) <= allowed(runs, alpha)


@pytest.mark.usefixtures("undetailed")
@pytest.mark.slice
def test_false_alarms_stay_rare_where_few_are_allowed_and_sessions_are_few_and_noisy() -> None:
    runs, alpha = 8000, 0.001

    assert alarms(NOISY, 3, alpha, runs) <= allowed(runs, alpha)


@pytest.mark.usefixtures("undetailed")
@pytest.mark.parametrize("sessions", [3, 5])
@pytest.mark.parametrize("machine", ["quiet", "typical"])
@pytest.mark.slice
def test_the_lower_bound_is_wrong_no_more_often_than_it_says(machine: str, sessions: int) -> None:
    runs, alpha = 2500, ALPHA

    assert alarms(MACHINES[machine], sessions, alpha, runs, threshold=0.0) <= allowed(runs, alpha)


@pytest.mark.usefixtures("undetailed")
@pytest.mark.parametrize(("machine", "sessions", "least"), [("quiet", 5, 0.99), ("typical", 10, 0.99)])
def test_a_slowdown_of_thirty_percent_is_caught_in_a_suite_of_a_hundred_cases(
    machine: str, sessions: int, least: float
) -> None:
    assert caught(MACHINES[machine], sessions, 0.3) >= least


@pytest.mark.usefixtures("undetailed")
@pytest.mark.parametrize("sessions", [3, 5])
@pytest.mark.parametrize("machine", ["quiet", "typical"])
def test_a_slowdown_of_thirty_percent_is_caught_by_a_baseline_that_has_just_come_of_age(
    machine: str, sessions: int
) -> None:
    assert caught(MACHINES[machine], sessions, 0.3) >= 0.9


def caught(machine: tuple[float, float], sessions: int, slowdown: float, runs: int = 300) -> float:
    """Share of runs that fail a case whose program became slower by this much."""
    generator = random.Random(f"{machine} {sessions} {slowdown}")
    effect = math.log1p(slowdown)
    found = (simulated(generator, machine, sessions, effect) for _ in range(runs))
    return sum(verdict(one, A_HUNDRED_CASES) == "regressed" for one in found) / runs


def test_the_smallest_detectable_change_is_detected_in_nearly_all_runs() -> None:
    generator = random.Random("duets")
    runs, pairs, spread, alpha, threshold = 400, 10, 0.01, 0.001, math.log1p(0.01)

    def measured(effect: float) -> Difference:
        found = of_pairs([generator.gauss(effect, spread) for _ in range(pairs)])
        assert found is not None
        return found

    seen = statistics.median(measured(0).smallest_detectable(alpha, threshold) for _ in range(runs))
    caught = sum(measured(math.log1p(seen)).lower(alpha) > threshold for _ in range(runs))

    assert caught / runs >= 0.9
