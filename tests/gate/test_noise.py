"""What a machine's noise lends to a case, how it is learned, and how the chance of a false alarm is divided."""

import json
import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfgate.cases.noise_file import read_noise
from perfgate.gate.alpha_budget import FAILING_LOOKS, AlphaBudget
from perfgate.gate.noise import UNKNOWN, Noise, Spread, fit, trigamma_inverse
from perfgate.gate.statistics import f_tail
from perfgate.gate.verdicts import ALPHA
from perfgate.shared.errors import UserError
from tests import ROOT

examples = settings(deadline=None, derandomize=True, database=None, max_examples=100)
variances = st.floats(1e-10, 1e-2)
freedoms = st.integers(1, 30).map(float)


def drawn(cases: int, df: float, spread: float, each: float, seed: int = 1) -> list[Spread]:
    """Spreads of cases whose variances lie around a common one as Smyth's model says."""
    generator = np.random.default_rng(seed)
    true = df * spread**2 / generator.chisquare(df, cases)
    return [Spread(float(value), each) for value in true * generator.chisquare(each, cases) / each]


# -- learning ---------------------------------------------------------------------------------------------------------


def test_the_noise_of_every_machine_that_is_stored_here_can_be_read() -> None:
    files = sorted((ROOT / "baselines").glob("*/noise.json"))

    assert files
    assert [read_noise(file.parent).machine for file in files] == [file.parent.name for file in files]


@pytest.mark.parametrize(("df", "each"), [(4.0, 14.0), (10.0, 5.0), (30.0, 9.0)])
def test_the_common_spread_is_found_again(df: float, each: float) -> None:
    found = fit(drawn(4000, df, 0.01, each), "box", "2026-01-01")

    assert found.spread == pytest.approx(0.01, rel=0.03)
    assert found.df == pytest.approx(df, rel=0.25)
    assert (found.machine, found.cases, found.date) == ("box", 4000, "2026-01-01")


@pytest.mark.parametrize("cases", [0, 1, 2])
def test_fewer_than_three_cases_teach_nothing(cases: int) -> None:
    found = fit(drawn(cases, 10, 0.01, 5), "box", "2026-01-01")

    assert (found.df, found.cases) == (0, cases)
    assert found.moderate(Spread(4.0, 2.0)) == Spread(4.0, 2.0)


def test_cases_that_vary_alike_lend_as_much_as_they_know_and_no_more() -> None:
    found = fit([Spread(1e-4, 5.0)] * 8, "box", "2026-01-01")

    assert found.df == 40
    assert found.spread == pytest.approx(0.01, rel=0.1)


def test_a_case_that_never_varied_does_not_upset_the_fit() -> None:
    found = fit([*drawn(50, 10, 0.01, 5), Spread(0.0, 5.0)], "box", "2026-01-01")

    assert 0.005 < found.spread < 0.02
    assert 0 < found.df < 10


def test_where_most_cases_never_varied_the_fit_is_still_a_number() -> None:
    found = fit([Spread(0.0, 5.0)] * 5 + [Spread(1e-4, 5.0)], "box", "2026-01-01")

    assert math.isfinite(found.spread)
    assert found.df > 0


def test_where_nothing_varied_nothing_is_lent() -> None:
    assert fit([Spread(0.0, 5.0)] * 10, "box", "2026-01-01").df == 0


def test_cases_of_one_launch_are_left_out() -> None:
    known = drawn(20, 10, 0.01, 5)

    assert fit([*known, Spread(0.0, 0.0)], "box", "2026-01-01") == fit(known, "box", "2026-01-01")


@examples
@given(st.lists(st.tuples(variances, freedoms), min_size=3, max_size=30), st.floats(1e-3, 1e3))
def test_the_fit_does_not_depend_on_the_unit(cases: list[tuple[float, float]], unit: float) -> None:
    one = fit([Spread(variance, df) for variance, df in cases], "box", "")
    two = fit([Spread(variance * unit**2, df) for variance, df in cases], "box", "")

    assert two.df == pytest.approx(one.df, rel=1e-4)
    assert two.spread == pytest.approx(one.spread * unit, rel=1e-4)


@pytest.mark.parametrize("value", [1e-6, 0.01, 1.0, 1.6449340668482264, 50.0, 1e6])
def test_trigamma_is_inverted(value: float) -> None:
    from scipy.special import polygamma

    assert float(polygamma(1, trigamma_inverse(value))) == pytest.approx(value, rel=1e-6)


# -- lending ----------------------------------------------------------------------------------------------------------


def test_a_spread_is_drawn_towards_the_common_one_by_their_degrees_of_freedom() -> None:
    found = Noise("box", 10, 0.01).moderate(Spread(4e-4, 2))

    assert found.df == 12
    assert found.variance == pytest.approx((10 * 1e-4 + 2 * 4e-4) / 12)


def test_nothing_is_lent_where_nothing_is_known() -> None:
    assert UNKNOWN.moderate(Spread(4e-4, 2)) == Spread(4e-4, 2)


def test_a_single_duet_has_the_common_spread() -> None:
    assert Noise("box", 10, 0.01).moderate(Spread(0.0, 0.0)) == Spread(pytest.approx(1e-4), 10)


def test_where_all_cases_vary_alike_the_common_spread_is_the_spread() -> None:
    assert Noise("box", math.inf, 0.01).moderate(Spread(2e-4, 5)) == Spread(pytest.approx(1e-4), math.inf)


@pytest.mark.parametrize("df", [3.0, 10.0, math.inf])
def test_a_case_far_noisier_than_the_machine_stands_on_its_own(df: float) -> None:
    own = Spread(1e-2, 5)

    assert Noise("box", df, 0.01).moderate(own) == own


def test_a_variance_is_held_against_a_known_one_as_against_a_very_well_known_one() -> None:
    assert f_tail(2.0, 5, 1.0, math.inf) == pytest.approx(f_tail(2.0, 5, 1.0, 1e9), rel=1e-6)
    assert f_tail(0.0, 5, 0.0, 3) == 1
    assert f_tail(1.0, 5, 0.0, 3) == 0


# -- noise.json -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("df", [0.0, 4.5, math.inf])
def test_a_noise_is_read_back_as_it_was_written(df: float) -> None:
    noise = Noise("box", df, 0.012, 17, "2026-01-01")
    text = json.dumps(noise.to_json(), allow_nan=False)

    assert json.loads(text)["schema"] == "perfgate.noise/1"
    assert Noise.from_json(json.loads(text), "noise.json") == noise


@pytest.mark.parametrize(
    ("key", "value"),
    [("schema", "other/1"), ("d0", "many"), ("d0", -1), ("s0", 0), ("s0", True), ("machine", 3), ("cases", None)],
)
def test_a_noise_that_is_none_is_refused_by_file_and_key(key: str, value: object) -> None:
    found = Noise("box", 10, 0.01, 17, "2026-01-01").to_json() | {key: value}

    with pytest.raises(UserError, match=rf"^noise\.json: .*{key}.*perfgate calibrate$"):
        Noise.from_json(found, "noise.json")


# -- the budget -------------------------------------------------------------------------------------------------------


@examples
@given(st.integers(1, 1000), st.integers(1, 8))
def test_all_shares_together_are_at_most_alpha(pairs: int, parts: int) -> None:
    budget = AlphaBudget(pairs, parts=parts)
    each = [pairs // parts + (number < pairs % parts) for number in range(parts)]
    total = sum(budget.spent(before).share for count in each for before in range(count))

    assert total * FAILING_LOOKS <= ALPHA * (1 + 1e-9)


@examples
@given(st.integers(1, 1000))
def test_the_first_suspects_are_served_best(pairs: int) -> None:
    shares = list(accumulate([AlphaBudget(pairs)] * pairs, lambda budget, _: budget.spent()))

    assert [one.share for one in shares] == sorted((one.share for one in shares), reverse=True)


def test_in_a_suite_of_a_hundred_the_first_third_shares_nine_tenths() -> None:
    assert AlphaBudget(100).early == 34
    assert AlphaBudget(100).share == pytest.approx(0.009 / 34 / 5)
    assert AlphaBudget(100).spent(33).share == pytest.approx(0.009 / 34 / 5)
    assert AlphaBudget(100).spent(34).share == pytest.approx(0.001 / 66 / 5)


def test_a_single_case_has_it_all() -> None:
    assert AlphaBudget(1).share == pytest.approx(0.01 / 5)
