"""The rule for duets: screen and confirmation, what holds for any duets, and rates of error on seeded noise."""

import doctest
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from perfgate.gate.against_run import compare
from perfgate.gate.alpha_budget import FAILING_LOOKS, AlphaBudget
from perfgate.gate.confirmation import LOOKS, confirming, look
from perfgate.gate.duets import Duet, difference, of_launches, spread
from perfgate.gate.improvement import improving, promising
from perfgate.gate.looks import Look
from perfgate.gate.noise import UNKNOWN, Noise
from perfgate.gate.screening import screen, suspects
from perfgate.gate.statistics import Difference
from perfgate.gate.verdicts import ALPHA, Comparison, name_of
from perfgate.records.launch import Launch
from tests import ROOT

TOLERANCE = 0.03
SHARE = AlphaBudget(100).share
NOISE = Noise("box", 10, 0.01, 30, "2026-01-01")
CALM = Noise("box", math.inf, 0.01, 30, "2026-01-01")
HELD = Comparison("case", "step_time_s", 1.0, 1.0, 3, TOLERANCE)
RANK = ("improved", "pass", "continue", "inconclusive", "regressed")

examples = settings(deadline=None, derandomize=True, database=None, max_examples=100)
differences = st.floats(-0.1, 0.1).map(lambda value: round(value, 6))
counts = st.sampled_from(LOOKS)
noises = st.sampled_from([UNKNOWN, NOISE, CALM])


def duets(values: Sequence[float], pairs: int = 3) -> list[Duet]:
    """Duets with these differences, rotating over pairs of servers."""
    return [Duet(float(value), str(number % pairs), 60) for number, value in enumerate(values)]


@st.composite
def some_duets(draw: st.DrawFn) -> list[Duet]:
    """As many as a look takes."""
    count = draw(counts)
    return duets(draw(st.lists(differences, min_size=count, max_size=count)), draw(st.integers(1, count)))


def decided(values: Sequence[float], noise: Noise = UNKNOWN, share: float = SHARE, pairs: int = 3) -> Look:
    """What the confirmation ends with."""
    found = duets(values, pairs)
    state = confirming({"step_time_s": share}, {"step_time_s": TOLERANCE})
    seen = 0
    while more := state.wanted(seen):
        seen += more
        state = state.seen({"step_time_s": found[:seen]}, noise)
    return state.looks["step_time_s"]


# -- duets ------------------------------------------------------------------------------------------------------------


def launch(side: str, pair: int | None, steps: list[float], server: str = "a") -> Launch:
    """A recorded launch."""
    assert side in ("candidate", "reference")
    return Launch("case", "hash", 0, {"step_time_s": steps}, "candidate" if side == "candidate" else "reference", pair,
                  server=server)  # fmt: skip


def test_a_duet_is_the_median_of_its_steps_ratios() -> None:
    before, after = launch("reference", 4, [1.0, 2.0, 4.0], "a"), launch("candidate", 4, [1.1, 2.6, 4.8], "b")

    [found] = of_launches(
        [before], [after, launch("candidate", 5, [9.0]), launch("candidate", None, [9.0])], "step_time_s"
    )

    assert found == Duet(pytest.approx(math.log(1.2)), "a+b", 3)


@examples
@given(st.lists(st.floats(0.01, 0.02), min_size=1, max_size=20), st.floats(1e-6, 1e6), st.randoms())
def test_a_duet_does_not_depend_on_the_unit(steps: list[float], unit: float, generator: random.Random) -> None:
    other = [step * generator.uniform(0.9, 1.2) for step in steps]
    one = of_launches([launch("reference", 0, steps)], [launch("candidate", 0, other)], "step_time_s")
    scaled = [[step * unit for step in side] for side in (steps, other)]
    two = of_launches([launch("reference", 0, scaled[0])], [launch("candidate", 0, scaled[1])], "step_time_s")

    assert two[0].difference == pytest.approx(one[0].difference, abs=1e-9)


def test_pairs_of_servers_that_differ_count_once_each() -> None:
    values = [0.00, 0.05, 0.10, 0.001, 0.051, 0.101, 0.002, 0.049, 0.1]

    assert spread(duets(values, 3)).df == 2
    assert spread(duets(values, 3)).variance > 4 * spread(duets(values, 1)).variance / 3


def test_pairs_of_servers_that_are_alike_do_not_matter() -> None:
    values = [0.01, 0.03, 0.02, 0.02, 0.01, 0.03, 0.03, 0.02, 0.01, 0.02]

    assert spread(duets(values, 3)) == spread(duets(values, 1)) == spread(duets(values, 10))
    assert spread(duets(values)).df == 9


def test_recorded_duets_are_judged_by_their_servers() -> None:
    steps = [0.05, 0.10, 0.15] * 4

    def recorded(servers: int) -> float | None:
        before = {"case": [launch("reference", n, [1.0], f"{n % servers}") for n in range(12)]}
        after = {
            "case": [launch("candidate", n, [math.exp(d + n * 1e-4)], f"{n % servers}") for n, d in enumerate(steps)]
        }
        [verdict] = compare(before, after, {})
        return verdict.low

    one, three = recorded(1), recorded(3)
    assert one is not None
    assert three is not None
    assert three < one - 0.05


# -- the confirmation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [UNKNOWN, NOISE, CALM])
@pytest.mark.parametrize("count", [0, 1, 2, 4, 5, 7, 14, 23])
def test_nothing_is_decided_between_looks(count: int, noise: Noise) -> None:
    found = duets([1.0 + 1e-4 * number for number in range(count)])

    assert look(found, TOLERANCE, SHARE, noise).verdict == "continue"
    assert look(found, TOLERANCE, SHARE, noise, final=True).verdict == "inconclusive"


@pytest.mark.parametrize("noise", [UNKNOWN, NOISE, CALM])
def test_the_first_look_can_clear_a_case_and_fails_it_by_a_huge_effect_alone(noise: Noise) -> None:
    slow = duets([0.5, 0.5, 0.5])

    assert look(slow, TOLERANCE, SHARE, noise).verdict == "continue"
    assert look(duets([0.0, 0.0, 0.0]), TOLERANCE, SHARE, noise).verdict == "pass"
    assert look(slow * 2, TOLERANCE, SHARE, noise).verdict == "regressed"


@pytest.mark.parametrize("noise", [UNKNOWN, NOISE, CALM])
def test_a_huge_effect_is_decided_at_the_first_look(noise: Noise) -> None:
    assert decided([math.log(2856) + x for x in (0.0, 0.02, -0.01)], noise).duets == LOOKS[0]
    assert decided([math.log(2856) + x for x in (0.0, 0.02, -0.01)], noise).verdict == "regressed"
    # Twice the time must be excluded, not only measured.
    assert look(duets([0.72, 0.68, 0.70]), TOLERANCE, SHARE, noise).verdict == "continue"


@pytest.mark.parametrize("noise", [UNKNOWN, NOISE])
def test_three_launches_that_are_slow_by_chance_raise_no_alarm_at_the_first_look(noise: Noise) -> None:
    generator = np.random.default_rng(6)
    slow = [generator.random((5000, LOOKS[-1])) < 0.3 for _ in range(2)]
    values = generator.normal(0, 0.01, slow[0].shape) + math.log(1.6) * (slow[0].astype(float) - slow[1])
    early = [look(duets(row[: LOOKS[0]]), TOLERANCE, SHARE, noise).verdict for row in values]

    assert "regressed" not in early


def test_what_looks_much_better_is_measured_again_and_fails_nothing() -> None:
    screens = {
        name: screen(Duet(value), TOLERANCE, SHARE)
        for name, value in (("much", -8.0), ("some", -0.27), ("little", -0.02), ("none", 0.02))
    }
    names = promising(screens, dict.fromkeys(screens, TOLERANCE))
    assert names == ["much", "some"]

    state = improving(dict.fromkeys(names, TOLERANCE))
    assert state.wanted(0) == 3
    state = state.seen({"much": duets([-8.0, -8.1, -7.9]), "some": duets([-0.1, -0.4, -0.3])})
    assert (state.looks["much"].verdict, state.undecided, state.wanted(3)) == ("improved", ["some"], 3)
    state = state.seen({"some": duets([-0.1, -0.4, -0.3, 0.2, 0.3, 0.1])})
    assert (state.looks["some"].verdict, state.wanted(6)) == ("inconclusive", 0)
    slower = improving({"some": TOLERANCE}).seen({"some": duets([0.5] * 6)})
    assert slower.looks["some"].verdict == "inconclusive"


def test_duets_without_any_spread_are_judged_by_their_mean_and_the_bound_itself_is_neither() -> None:
    def at(value: float, count: int = 6) -> str:
        return look(duets([value] * count), TOLERANCE, SHARE).verdict

    assert at(math.log1p(TOLERANCE / 3)) == "pass"
    assert at(math.log1p(TOLERANCE / 3) * (1 + 1e-9)) == "regressed"
    assert at(math.log1p(TOLERANCE / 3) * (1 - 1e-9)) == "pass"
    assert at(-math.log1p(TOLERANCE / 3) * (1 + 1e-9)) == "improved"


def test_an_upper_bound_at_the_tolerance_does_not_clear() -> None:
    def at(value: float) -> str:
        return name_of(Difference(value, 0.0, 5.0, 0.0, 5.0, 6), SHARE, TOLERANCE, TOLERANCE)

    assert at(math.log1p(TOLERANCE)) == "inconclusive"
    assert at(math.log1p(TOLERANCE) * (1 - 1e-9)) == "pass"


def test_the_last_look_ends_it() -> None:
    values = [0.02 + 0.03 * (-1) ** number for number in range(LOOKS[-1])]

    assert look(duets(values[: LOOKS[-2]]), TOLERANCE, SHARE).verdict == "continue"
    assert look(duets(values), TOLERANCE, SHARE).verdict == "inconclusive"
    assert decided(values).duets == LOOKS[-1]


def test_one_pair_of_servers_is_enough_and_is_said() -> None:
    values = [0.05 + 0.001 * (-1) ** number for number in range(6)]

    assert look(duets(values, 1), TOLERANCE, SHARE).verdict == "regressed"
    assert "one pair of servers" in look(duets(values, 1), TOLERANCE, SHARE).why
    assert look(duets(values, 2), TOLERANCE, SHARE).why == ""


def test_a_look_says_what_it_could_have_seen() -> None:
    values = [0.02, 0.04, 0.03, 0.04, 0.02, 0.03]
    error = math.sqrt(np.var(values, ddof=1) / 6)
    errors = special.nctdtrinc(5, 0.05, stats.t.ppf(1 - SHARE, 5))
    expected = math.expm1(math.log1p(0.01) + errors * error)

    found = look(duets(values), TOLERANCE, SHARE)

    assert found.smallest_detectable == pytest.approx(expected, rel=0.01)
    assert found.low == pytest.approx(math.expm1(0.03 - stats.t.ppf(1 - SHARE, 5) * error))
    assert found.high == pytest.approx(math.expm1(0.03 + stats.t.ppf(0.995, 5) * error))
    assert found.told(HELD).smallest_detectable == found.smallest_detectable


@examples
@given(some_duets(), st.floats(0, 0.5), noises)
def test_a_larger_slowdown_is_never_judged_milder(found: list[Duet], more: float, noise: Noise) -> None:
    slower = [Duet(duet.difference + more, duet.servers, duet.steps) for duet in found]
    before, after = (look(one, TOLERANCE, SHARE, noise) for one in (found, slower))

    if more > 1e-6:
        assert RANK.index(after.verdict) >= RANK.index(before.verdict)


@examples
@given(some_duets(), noises, st.randoms(use_true_random=False))
def test_the_order_of_duets_and_the_names_of_servers_do_not_matter(
    found: list[Duet], noise: Noise, generator: random.Random
) -> None:
    renamed = [Duet(duet.difference, f"server {duet.servers}", duet.steps) for duet in found]
    one, two = (difference(group, noise) for group in (found, generator.sample(renamed, len(renamed))))

    assert one is not None
    assert two is not None
    assert two.estimate == pytest.approx(one.estimate, abs=1e-12)
    assert two.error == pytest.approx(one.error, abs=1e-9)
    assert two.df == one.df


@examples
@given(some_duets(), noises)
def test_faster_is_the_mirror_image_of_slower(found: list[Duet], noise: Noise) -> None:
    mirrored = [Duet(-duet.difference, duet.servers, duet.steps) for duet in found]
    one, two = difference(found, noise), difference(mirrored, noise)

    assert one is not None
    assert two is not None
    assert two.lower(SHARE) == pytest.approx(-one.better(SHARE), abs=1e-9)


# -- several metrics --------------------------------------------------------------------------------------------------


def test_a_case_goes_on_while_any_metric_is_undecided_and_what_was_decided_stays() -> None:
    fast, slow = "time_per_output_token_s", "time_to_first_token_s"
    state = confirming({fast: SHARE, slow: SHARE}, {fast: TOLERANCE, slow: TOLERANCE})
    assert state.wanted(0) == 3

    state = state.seen({fast: duets([0.0] * 3), slow: duets([0.06] * 3)}, NOISE)
    assert state.looks[fast].verdict == "pass"
    assert (state.undecided, state.wanted(3)) == ([slow], 3)

    state = state.seen({fast: duets([0.5] * 6), slow: duets([0.06] * 6)}, NOISE)
    assert state.looks[fast].verdict == "pass"
    assert state.looks[slow].verdict == "regressed"
    assert state.wanted(6) == 0


def test_a_case_of_which_no_more_duets_can_be_had_is_inconclusive() -> None:
    state = confirming({"step_time_s": SHARE}, {"step_time_s": TOLERANCE})

    ended = state.seen({"step_time_s": duets([0.5, 0.6])}, final=True)

    assert (ended.looks["step_time_s"].verdict, ended.wanted(2)) == ("inconclusive", 0)
    assert state.seen({}, final=True).looks["step_time_s"].verdict == "inconclusive"
    assert state.looks == {}


# -- the screen -------------------------------------------------------------------------------------------------------


def test_a_case_is_suspect_beyond_seven_tenths_of_a_percent() -> None:
    edge = math.log1p(0.007)

    assert not screen(Duet(edge), TOLERANCE, SHARE).suspect
    assert screen(Duet(edge + 1e-12), TOLERANCE, SHARE).suspect
    assert not screen(Duet(math.log1p(0.02)), 0.1, SHARE).suspect
    assert screen(Duet(math.log1p(0.003)), 0.01, SHARE).suspect


def test_one_duet_says_that_a_case_got_faster_only_where_the_noise_is_known() -> None:
    much, little = Duet(-0.12), Duet(-0.02)

    assert screen(much, TOLERANCE, SHARE).verdict == "pass"
    assert screen(much, TOLERANCE, SHARE, NOISE).verdict == "improved"
    assert screen(little, TOLERANCE, SHARE, NOISE).verdict == "pass"


def test_without_known_noise_a_screen_has_no_interval() -> None:
    found = screen(Duet(0.001), TOLERANCE, SHARE)

    assert found.change == pytest.approx(math.expm1(0.001))
    assert (found.low, found.high, found.smallest_detectable) == (None, None, None)


def test_a_screen_tells_its_interval_and_what_it_could_have_seen() -> None:
    verdict = screen(Duet(0.001), TOLERANCE, SHARE, NOISE).told(HELD)

    assert verdict.verdict == "pass"
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low < 0.001 < verdict.high
    assert verdict.smallest_detectable == pytest.approx(0.0297, abs=0.0005)


def test_suspects_are_those_metrics_that_the_screen_says() -> None:
    values = {"time_to_first_token_s": 0.02, "time_per_output_token_s": 0.0}
    found = {name: screen(Duet(value), TOLERANCE, SHARE) for name, value in values.items()}

    assert suspects(found) == ["time_to_first_token_s"]


# -- rates of error on seeded noise -----------------------------------------------------------------------------------


def allowed(runs: int, alpha: float) -> int:
    """More alarms than this would be seen in one of a thousand such tests, if their rate were just ``alpha``."""
    return int(stats.binom.ppf(0.999, runs, alpha))


def two_speeds(generator: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Duets of launches that are 12.5% slower in three of ten."""
    slow = [generator.random(shape) < 0.3 for _ in range(2)]
    return generator.normal(0, 0.01, shape) + 0.125 * (slow[0].astype(float) - slow[1])


@pytest.mark.parametrize("noise", [UNKNOWN, NOISE])
def test_a_change_that_need_not_be_excluded_is_called_a_regression_no_more_often_than_its_share(noise: Noise) -> None:
    runs, share = 1500, 0.01
    values = np.random.default_rng(1).normal(math.log1p(TOLERANCE / 3), 0.01, (runs, LOOKS[-1]))

    alarms = sum(decided(row, noise, share).verdict == "regressed" for row in values)

    assert alarms <= allowed(runs, share * FAILING_LOOKS)


@pytest.mark.parametrize("pairs", [1, 2, 24])
@pytest.mark.parametrize("noise", [UNKNOWN, NOISE])
@pytest.mark.slice
def test_launches_of_two_speeds_raise_no_alarm(noise: Noise, pairs: int) -> None:
    values = two_speeds(np.random.default_rng(2), (1000, LOOKS[-1]))

    assert sum(decided(row, noise, SHARE, pairs).verdict == "regressed" for row in values) <= allowed(1000, 0.0005)


def test_a_hundred_unchanged_cases_rarely_raise_an_alarm_and_cost_little() -> None:
    suites, launches, alarms = 60, 0, 0
    generator = np.random.default_rng(3)
    for _ in range(suites):
        budget, failed = AlphaBudget(100), False
        for row in generator.normal(0, 0.01, (100, 1 + LOOKS[-1])):
            launches += 2
            if screen(Duet(row[0]), TOLERANCE, budget.share, NOISE).suspect:
                found = decided(row[1:], NOISE, budget.share)
                budget = budget.spent()
                launches += 2 * found.duets
                failed |= found.verdict == "regressed"
        alarms += failed

    assert alarms <= allowed(suites, ALPHA)
    assert launches / suites / 100 < 4


@pytest.mark.parametrize(("noise", "least"), [(UNKNOWN, 0.96), (NOISE, 0.97)])
def test_a_slowdown_of_three_percent_is_caught(noise: Noise, least: float) -> None:
    runs = 400
    values = np.random.default_rng(4).normal(math.log1p(0.03), 0.01, (runs, 1 + LOOKS[-1]))

    caught = sum(
        screen(Duet(row[0]), TOLERANCE, SHARE, noise).suspect and decided(row[1:], noise).verdict == "regressed"
        for row in values
    )

    assert caught >= stats.binom.ppf(0.001, runs, least)


def test_the_example_in_the_documents_is_so() -> None:
    page = ROOT / "docs" / "the-rule.md"

    assert doctest.testfile(str(page), module_relative=False) == doctest.TestResults(failed=0, attempted=9)
