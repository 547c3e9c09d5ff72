"""Expected effects: how they are written, and when they hold."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfgate.gate.confirmation import LOOKS
from perfgate.gate.duets import Duet
from perfgate.gate.effects import Expectation, exact, noisy, parse, parse_all
from perfgate.gate.noise import Noise
from perfgate.shared.errors import UserError

examples = settings(deadline=None, derandomize=True, database=None, max_examples=100)
NOISE = Noise("box", 10, 0.01, 30, "2026-01-01")


def duets(ratio: float, count: int, noise: Sequence[float] = (-0.01, 0.0, 0.01)) -> list[Duet]:
    """Duets whose mean is the logarithm of a ratio, if their number is one of threes."""
    return [Duet(math.log(ratio) + noise[number % len(noise)], str(number % 3)) for number in range(count)]


@pytest.mark.parametrize(
    ("text", "sign", "ratio"), [("< 1.4x", "<", 1.4), ("<0.7x", "<", 0.7), ("> 1.2x", ">", 1.2), (" >  2 x ", ">", 2.0)]
)
def test_a_ratio_is_read(text: str, sign: str, ratio: float) -> None:
    found = parse("step_time_s", text)

    assert (found.sign, found.ratio) == (sign, ratio)
    assert parse("step_time_s", str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "<= 1.4x",
        "1.4x",
        "< 1.4",
        "= 1x",
        "< -1x",
        "< 0x",
        "< x",
        "",
        "< 1e3x",
        "< nanx",
        "< 40%",
        "< 1.4x > 1x",
        0.7,
        None,
    ],
)
def test_anything_else_is_refused_with_metric_text_and_example(text: object) -> None:
    with pytest.raises(UserError, match=r"step_time_s.*'< 0\.7x'") as error:
        parse_all({"step_time_s": text})

    assert repr(text) in str(error.value)


def test_two_bounds_make_a_range() -> None:
    assert parse_all({"flops": "> 1.2x and < 1.4x"}) == [Expectation("flops", ">", 1.2), Expectation("flops", "<", 1.4)]


def test_a_time_far_below_the_bound_is_told_at_the_first_look() -> None:
    assert noisy(parse("step_time_s", "< 0.7x"), duets(0.5, 3)).verdict == "pass"
    assert noisy(parse("step_time_s", "< 0.7x"), duets(0.5, 2)).verdict == "continue"
    assert noisy(parse("step_time_s", "> 0.7x"), duets(0.5, 3)).verdict == "regressed"


def test_a_time_far_above_the_bound_fails_and_says_what_was_found() -> None:
    found = noisy(parse("step_time_s", "< 0.7x"), duets(0.9, 3))

    assert found.verdict == "regressed"
    assert found.change == pytest.approx(-0.1)


def test_a_time_at_the_bound_is_undecided_to_the_end() -> None:
    for expected in ("< 0.7x", "> 0.7x"):
        looks = [noisy(parse("step_time_s", expected), duets(0.7, count)).verdict for count in LOOKS]
        assert looks == ["continue"] * (len(LOOKS) - 1) + ["inconclusive"]


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_what_cannot_be_measured_any_more_is_inconclusive(count: int) -> None:
    assert noisy(parse("step_time_s", "< 0.7x"), duets(0.5, count), NOISE, final=True).verdict == "inconclusive"


def test_it_fails_with_more_certainty_than_it_passes() -> None:
    expected, spread = parse("step_time_s", "< 1x"), [-0.01, 0.0, 0.01]
    bound = next(
        d for d in np.arange(0, 0.1, 1e-4) if noisy(expected, duets(math.exp(-d), 6, spread)).verdict == "pass"
    )

    assert noisy(expected, duets(math.exp(bound), 6, spread)).verdict == "continue"


@examples
@given(
    st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3) | st.lists(st.floats(-0.5, 0.5), min_size=24, max_size=24),
    st.floats(0.5, 2).map(lambda value: round(value, 3)),
    st.sampled_from("<>"),
)
def test_more_is_the_mirror_image_of_less(values: list[float], ratio: float, sign: str) -> None:
    expected = parse("step_time_s", f"{sign} {ratio}x")
    one = noisy(expected, [Duet(value) for value in values])
    mirrored = Expectation("step_time_s", ">" if sign == "<" else "<", 1 / ratio)
    two = noisy(mirrored, [Duet(-value) for value in values])

    assert two.verdict == one.verdict


@pytest.mark.parametrize(
    ("text", "vanilla", "setting", "verdict"),
    [
        ("< 0.7x", 100, 60, "pass"),
        ("< 0.7x", 100, 70, "regressed"),
        ("< 0.7x", 100, 71, "regressed"),
        ("> 1.2x", 100, 121, "pass"),
        ("> 1.2x", 100, 120, "regressed"),
        ("< 1.1x", 0, 0, "pass"),
        ("< 1.1x", 0, 1, "regressed"),
        ("> 1.1x", 0, 1, "pass"),
    ],
)
def test_a_number_that_repeats_itself_is_decided_at_once(
    text: str, vanilla: float, setting: float, verdict: str
) -> None:
    assert exact(parse("peak_memory_bytes", text), vanilla, setting).verdict == verdict
