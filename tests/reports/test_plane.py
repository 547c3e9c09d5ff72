"""Names in the plane of time and memory: all of them, and none over another or over a dot."""

from itertools import combinations
from math import log
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from perfgate.reports.plane import ENERGY, LETTER, LINE, Point, drawing, with_front
from perfgate.reports.ratios import Spread

times = st.floats(1e-3, 1e-2)
points = st.lists(
    st.builds(
        Point,
        setting=st.text("abcdefgh=", min_size=3, max_size=80),
        memory_bytes=st.integers(10**8, 2 * 10**8),
        step_s=times,
        unit_s=times,
        spread=st.just(None),
    ),
    min_size=2,
    max_size=40,
)


def boxes(plane: dict[str, Any]) -> list[tuple[float, float, float, float]]:
    """The boxes of names."""
    found = []
    for point in plane["points"]:
        left, middle = point["label"]["at"]
        width = LETTER * len(point["label"]["text"])
        found.append((left, middle - LINE / 2, left + width, middle + LINE / 2))
    return found


@settings(deadline=None, derandomize=True, database=None, max_examples=60)
@given(points)
def test_no_name_overlaps_another_or_a_dot(given_points: list[Point]) -> None:
    plane = drawing("many", "sample", with_front(given_points))
    named = boxes(plane)
    assert len(named) == len(given_points)
    for one, other in combinations(named, 2):
        apart = one[2] <= other[0] + 0.2 or other[2] <= one[0] + 0.2 or one[3] <= other[1] + 0.2
        assert apart or other[3] <= one[1] + 0.2
    for left, top, right, bottom in named:
        assert left >= 0
        assert right <= plane["box"]["width"]
        assert top >= 0
        assert bottom <= plane["box"]["bottom"]
        assert not any(left < p["at"][0] < right and top < p["at"][1] < bottom for p in plane["points"])


def test_of_very_many_settings_the_best_are_named() -> None:
    many = [Point(f"a={number}", 10**8 + number * 10**6, 1.0, 1.0 + number) for number in range(300)]
    plane = drawing("many", "sample", with_front([*many, Point("defaults", 2 * 10**9, 9.0, 9.0, True)]))
    named = {point["label"]["text"] for point in plane["points"]} - {""}
    assert named == {"a=0", "defaults (vanilla)"}
    assert len(plane["points"]) == 301
    assert plane["box"]["height"] < 2000


def test_over_energy_the_front_needs_a_tenth_less_and_memory_does_not_count() -> None:
    points = [
        Point(name, 1.0, seconds, seconds, spread=Spread(log(seconds), 1e-4, 4), energy_j=joules)
        for name, seconds, joules in (("a", 1.0, 9.0), ("b", 1.2, 8.5), ("c", 1.5, 6.0))
    ]
    plane = drawing("some", "token", with_front(points, ENERGY), ENERGY)
    found = {point["setting"]: (point["front"], point["across"]) for point in plane["points"]}
    assert found == {"a": (True, 9.0), "b": (False, 8.5), "c": (True, 6.0)}
    assert plane["across"]["title"] == "energy a token"


def test_the_front_needs_more_than_noise() -> None:
    def point(name: str, seconds: float, memory: float, error: float = 1e-4, **more: Any) -> Point:
        return Point(name, memory, seconds, seconds, spread=Spread(log(seconds), error, 4), **more)

    vanilla = point("defaults", 1.0, 100, vanilla=True)
    same = point("a=1", 0.99, 100)
    noisy = point("b=1", 0.7, 100, error=1.0)
    lean = point("c=1", 1.5, 80)
    fronts = {p.setting: p.front for p in with_front([vanilla, same, noisy, lean])}
    assert fronts == {"defaults": True, "a=1": False, "b=1": False, "c=1": True}
