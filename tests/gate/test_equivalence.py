"""Outcomes that a setting promises to leave as they are: how that is written, and when it holds."""

import math

import pytest

from perfgate.gate.equivalence import Equivalence, alike, distance, parse_likenesses
from perfgate.gate.wording import sentence
from perfgate.shared.errors import UserError


def test_names_and_bounds_are_read() -> None:
    assert parse_likenesses("tokens", {"losses": 0.01}) == [Equivalence("tokens"), Equivalence("losses", 0.01)]
    assert parse_likenesses(("tokens", "logits"), {}) == [Equivalence("tokens"), Equivalence("logits")]
    assert parse_likenesses((), {}) == []


@pytest.mark.parametrize(
    ("same", "near", "match"),
    [
        ("token", {}, "unknown outcome 'token'.*tokens"),
        ((), {"loss": 0.1}, "unknown outcome 'loss'"),
        ((), {"losses": 0}, "above 0"),
        ((), {"losses": "1%"}, "above 0"),
        ((), 0.1, "mapping"),
        (7, {}, "name or several"),
    ],
)
def test_anything_else_is_refused(same: object, near: object, match: str) -> None:
    with pytest.raises(UserError, match=match):
        parse_likenesses(same, near)


def test_the_distance_is_a_share_of_vanilla() -> None:
    assert distance([3, 4], [3, 4]) == 0
    assert distance([3, 4], [3, 4.5]) == pytest.approx(0.1)
    assert distance([0, 0], [0, 0]) == 0
    assert distance([0, 0], [0, 1]) == math.inf
    assert distance([1], [1, 2]) == math.inf
    assert distance([1.0], [math.nan]) == math.inf


@pytest.mark.parametrize(
    ("item", "setting", "verdict", "words"),
    [
        (Equivalence("tokens"), [3, 4], "pass", "all 2 are equal"),
        (Equivalence("tokens"), [3, 5], "regressed", "1 of 2 differ, at a distance of 0.2, expected the same"),
        (Equivalence("losses", 0.3), [3, 5], "pass", "expected within 0.3"),
        (Equivalence("losses", 0.1), [3, 5], "regressed", "at a distance of 0.2, expected within 0.1"),
        (Equivalence("tokens"), [3], "regressed", "there are 1 in place of 2"),
    ],
)
def test_what_differs_is_said(item: Equivalence, setting: list[float], verdict: str, words: str) -> None:
    found = alike("case", item, [3, 4], setting)

    assert found.verdict == verdict
    assert words in sentence(found)
