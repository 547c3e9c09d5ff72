"""Compares settings by time and memory, or energy: which are on the front, which keep limits, and their names.

The page, ``perfgate compare-settings`` and ``perfgate predict`` share it. Pure functions.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from perfgate.reports.ratios import Spread, compared
from perfgate.shared.errors import UserError
from perfgate.shared.metric import TOLERANCES

SIZES = {"b": 1, "kib": 2**10, "mib": 2**20, "gib": 2**30, "kb": 10**3, "mb": 10**6, "gb": 10**9}
TIMES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6}
LIMITS: dict[str, Mapping[str, float]] = {"memory": SIZES, "step": TIMES, "sample": TIMES, "token": TIMES}
LIMIT = re.compile(r"\s*(memory|step|sample|token)\s*(?:<=?)?\s*([0-9.]+)\s*([a-zµ]+)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Point:
    """One setting as a point.

    Attributes:
        setting: the setting as text.
        memory_bytes: peak memory.
        step_s: time of a step.
        unit_s: time of a sample, or of a token.
        vanilla: whether every setting is at its default.
        spread: the spread of the logarithm of its time per sample or token, in one unit for all settings; ``None``
            with a single launch.
        case: the case's id, or empty.
        front: whether it is better than every other setting in time or memory, beyond the interval of their ratio.
        energy_j: joules per sample or token; ``None`` if not counted.
    """

    setting: str
    memory_bytes: float
    step_s: float
    unit_s: float
    vanilla: bool = False
    spread: Spread | None = None
    case: str = ""
    front: bool = False
    energy_j: float | None = None


@dataclass(frozen=True)
class Axis:
    """The quantity besides time in such a picture.

    Attributes:
        field: the field of a point.
        title: the title for people; ``{unit}`` stands for sample or token.
        unit: the unit of the values: ``bytes`` or ``J``.
        metric: the metric whose format the values have.
        tolerance: a setting is better than another if it takes less by more than this share.
    """

    field: str
    title: str
    unit: str
    metric: str
    tolerance: float

    def of(self, point: Point) -> float:
        """The value of a point, which must have one."""
        return float(getattr(point, self.field))


MEMORY = Axis("memory_bytes", "peak memory", "bytes", "peak_memory_bytes", TOLERANCES["bytes"])
# A GPU's counter is updated every 100 ms, and energy is measured over one second of steps.
ENERGY = Axis("energy_j", "energy a {unit}", "J", "energy_j", 0.1)


@dataclass(frozen=True)
class Limits:
    """Upper limits for a setting; ``None`` for no limit."""

    memory_bytes: float | None = None
    step_s: float | None = None
    unit_s: float | None = None

    @classmethod
    def read(cls, texts: Sequence[str]) -> "Limits":
        """Read limits such as ``memory 40GiB`` and ``step 200ms``.

        Raises:
            UserError: a text is no limit.
        """
        found: dict[str, float] = {}
        for text in texts:
            match = LIMIT.fullmatch(text)
            units = LIMITS[match[1].lower()] if match else {}
            if not match or match[3].lower() not in units or match[2].count(".") > 1 or match[2] == ".":
                raise UserError(
                    f"--under {text!r} is no limit; write memory, step, sample or token, a number and a unit: "
                    '--under "memory 40GiB" --under "step 200ms"'
                )
            name = {"memory": "memory_bytes", "step": "step_s"}.get(match[1].lower(), "unit_s")
            value = float(match[2]) * units[match[3].lower()]
            found[name] = min(value, found.get(name, value))
        return cls(**found)

    def keeps(self, point: Point) -> bool:
        """Whether a setting stays within all limits."""
        pairs = ((self.memory_bytes, point.memory_bytes), (self.step_s, point.step_s), (self.unit_s, point.unit_s))
        return all(limit is None or value <= limit for limit, value in pairs)


def fastest(points: Sequence[Point], limits: Limits) -> Point | None:
    """The setting with the least time per sample or token within the limits; ``None`` if there is none."""
    return min(filter(limits.keeps, points), key=lambda point: point.unit_s, default=None)


def faster(point: Point, other: Point) -> bool:
    """Whether a setting takes less time than another, beyond the interval of their ratio."""
    if point.spread is None or other.spread is None:
        return False
    _, _, high = compared(point.spread, other.spread)
    return high < 1


def leaner(point: Point, other: Point, across: Axis = MEMORY) -> bool:
    """Whether a setting takes less memory or energy than another, by more than the tolerance."""
    return across.of(point) < across.of(other) * (1 - across.tolerance)


def with_front(points: Sequence[Point], across: Axis = MEMORY) -> list[Point]:
    """The same settings with the front marked, fastest first.

    Among settings that cannot be distinguished, only the simplest is on the front: vanilla, or the one with the fewest
    changes.
    """
    ordered = sorted(points, key=lambda point: (point.unit_s, across.of(point)))
    # Settings that no other beats by plain numbers are compared first, because they decide most comparisons.
    least = float("inf")
    strong: list[Point] = []
    for point in ordered:
        if across.of(point) < least:
            least = across.of(point)
            strong.append(point)
    rivals = [*strong, *ordered]
    return [replace(point, front=all(stands(point, rival, across) for rival in rivals)) for point in ordered]


def stands(point: Point, rival: Point, across: Axis = MEMORY) -> bool:
    """Whether a setting stays on the front against a rival."""
    if rival is point or faster(point, rival) or leaner(point, rival, across):
        return True
    told_apart = faster(rival, point) or leaner(rival, point, across)
    return not told_apart and simplicity(point) < simplicity(rival)


def simplicity(point: Point) -> tuple[bool, int, float, str]:
    """The sort key for settings that cannot be distinguished."""
    return not point.vanilla, point.setting.count("="), point.unit_s, point.setting


WIDTH, LEFT, RIGHT, TOP, FOOT = 900, 76, 860, 24, 44
LETTER, LINE = 6.6, 14  # the size of a letter and a line in a name of 11 pixels, rounded up
STEP = 3
NAMED = 60  # with more settings, the picture names only the front and vanilla, and the table names all


def drawing(name: str, unit: str, points: Sequence[Point], across: Axis = MEMORY) -> dict[str, Any]:
    """The data for a picture: sizes, dots, and positions for names that overlap nothing.

    Args:
        name: the name of the group.
        unit: ``sample`` or ``token``.
        points: the points with their front.
        across: the axis over which time is drawn.
    """
    height = max(360, TOP + FOOT + LINE * (min(len(points), NAMED) + 6))
    most = {
        "across": max(map(across.of, points)) * 1.08,
        "time": max(point.unit_s for point in points) * 1.08,
        "step": max(point.step_s for point in points),
    }
    bottom = height - FOOT
    places = [
        (
            LEFT + (RIGHT - LEFT) * across.of(point) / most["across"],
            bottom - (bottom - TOP) * point.unit_s / most["time"],
        )
        for point in points
    ]
    names = [
        f"{point.setting}{' (vanilla)' if point.vanilla else ''}"
        if len(points) <= NAMED or point.front or point.vanilla
        else ""
        for point in points
    ]
    labels = placed_names(names, places, bottom)
    return {
        "name": name,
        "unit": unit,
        "across": {"title": across.title.format(unit=unit), "unit": across.unit, "metric": across.metric},
        "box": {"width": WIDTH, "height": height, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": bottom},
        "most": most,
        "points": [
            {
                "case": point.case,
                "setting": point.setting,
                "vanilla": point.vanilla,
                "front": point.front,
                "across": across.of(point),
                "time": point.unit_s,
                "step": point.step_s,
                "at": [round(x, 1), round(y, 1)],
                "label": label,
            }
            for point, (x, y), label in zip(points, places, labels, strict=True)
        ],
    }


def placed_names(names: Sequence[str], places: Sequence[tuple[float, float]], bottom: float) -> list[Mapping[str, Any]]:
    """A position for each name beside its dot, or as close as possible without overlapping a name or a dot.

    Returns:
        for each name its text, cut if it is long, the left end and the middle of its line, and whether it stands so
        far from its dot that a line should lead there.
    """
    # Among very many dots there may be no free place.
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y in places] if len(places) <= NAMED else []
    found: list[Mapping[str, Any]] = []
    for name, (x, y) in zip(names, places, strict=True):
        if not name:
            found.append({"text": "", "at": [round(x, 1), round(y, 1)], "far": False})
            continue
        text = name if len(name) <= 60 else f"{name[:57]}..."
        width = LETTER * len(text)
        left, middle = next(
            spot for spot in spots(x, y, width, bottom) if not any(meets(spot, width, box) for box in taken)
        )
        taken.append((left, middle - LINE / 2, left + width, middle + LINE / 2))
        far = abs(middle - y) > LINE or not -width - 12 <= left - x <= 12
        found.append({"text": text, "at": [round(left, 1), round(middle, 1)], "far": far})
    return found


def spots(x: float, y: float, width: float, bottom: float) -> Any:
    """Positions for a name, the closest to its dot first; below the picture there is always room."""
    reach = 0
    while True:
        for dy in (-reach, reach) if reach else (0,):
            for left in (x + 9, x - 9 - width):
                middle = y + dy
                if left >= LEFT and left + width <= WIDTH and TOP <= middle <= bottom - LINE / 2:
                    yield left, middle
            if reach > 2 * bottom:
                yield LEFT, bottom + reach
        reach += STEP


def meets(spot: tuple[float, float], width: float, box: tuple[float, float, float, float]) -> bool:
    """Whether a name at this position overlaps a box."""
    left, middle = spot
    return left < box[2] and box[0] < left + width and middle - LINE / 2 < box[3] and box[1] < middle + LINE / 2
