"""Effects: an expected ratio of setting to vanilla, such as ``"< 0.7x"``, and its decision by duets of the two."""

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from perfgate.gate.confirmation import LOOKS
from perfgate.gate.duets import Duet, difference
from perfgate.gate.looks import Look
from perfgate.gate.noise import UNKNOWN, Noise
from perfgate.gate.statistics import CLEAR_LEVEL, POWER, safe_expm1
from perfgate.gate.verdicts import TOO_FEW
from perfgate.shared.errors import UserError, nearest

FORM = re.compile(r"\s*([<>])\s*(\d+(?:\.\d+)?|\.\d+)\s*x\s*", re.ASCII)
EXAMPLE = "'< 0.7x' (at most 0.7 times what it is without the setting), '> 1.2x' or '> 1.2x and < 2x'"


@dataclass(frozen=True)
class Expectation:
    """A bound that the ratio of a metric, setting to vanilla, must be below or above.

    Attributes:
        metric: the metric's name.
        sign: ``<`` or ``>``.
        ratio: the bound, above 0; 0.7 is 30% less.
    """

    metric: str
    sign: Literal["<", ">"]
    ratio: float

    def __str__(self) -> str:
        return f"{self.sign} {self.ratio:g}x"

    def holds(self, ratio: float) -> bool:
        """Whether a ratio is as expected; a ratio that equals the bound is not."""
        return ratio < self.ratio if self.sign == "<" else ratio > self.ratio


def parse(metric: str, text: object) -> Expectation:
    """Read an expectation.

    Raises:
        UserError: the text is no expectation; the message has the metric, the text and an example.
    """
    found = FORM.fullmatch(text) if isinstance(text, str) else None
    if not found or not 0 < float(found[2]) < math.inf:
        raise UserError(f"the expected effect on {metric} is {text!r}; write a ratio such as {EXAMPLE}")
    return Expectation(metric, "<" if found[1] == "<" else ">", float(found[2]))


def parse_all(expectations: Mapping[str, object]) -> list[Expectation]:
    """Read the expectations of one effect, by metric; one text may hold two bounds, joined by ``and``.

    Raises:
        UserError: naming the first that cannot be read.
    """
    return [
        parse(metric, part)
        for metric, text in expectations.items()
        for part in (text.split(" and ") if isinstance(text, str) else [text])
    ]


def on_device(expected: Mapping[str, object], device: str, known: Collection[str]) -> dict[str, object]:
    """Select the expectations for one device; those for other devices are checked as well.

    Args:
        expected: by metric, a text for every device, or a mapping from devices to texts; ``None`` expects nothing.
        device: the device to measure on.
        known: the names of all devices.

    Raises:
        UserError: a device is unknown, or a text cannot be read.
    """
    found = {}
    for metric, text in expected.items():
        by_device = text if isinstance(text, Mapping) else {device: text}
        if unknown := [str(name) for name in by_device if name not in known]:
            raise UserError(f"the expected effect on {metric} is for {unknown[0]!r}{nearest(unknown[0], known)}")
        for each in by_device.values():
            parse_all({metric: each} if each is not None else {})
        if by_device.get(device) is not None:
            found[metric] = by_device[device]
    return found


def exact(expectation: Expectation, vanilla: float, setting: float) -> Look:
    """Decide on a metric that is the same in every run; two numbers are enough.

    If vanilla's value is 0, any positive value counts as an infinite ratio.
    """
    ratio = setting / vanilla if vanilla else math.inf if setting else 1.0
    change = ratio - 1 if ratio < math.inf else None
    held = expectation.holds(ratio)
    return Look("pass" if held else "regressed", 1, change, change, change)


def noisy(expectation: Expectation, duets: Sequence[Duet], noise: Noise = UNKNOWN, final: bool = False) -> Look:
    """Decide on a time, at the looks of a confirmation, as soon as possible.

    ``< x`` fails if the lower 99.5% bound of the ratio is above x, and passes if the upper 95% bound is below x; ``>
    x`` is the mirror image. Effects spend nothing of the suite's alpha budget.

    Args:
        expectation: the expectation.
        duets: duets with vanilla as the reference and the setting as the candidate.
        noise: the noise of this machine.
        final: whether there will be no more duets.

    Returns:
        A look with ``pass``, ``regressed`` (the expectation fails), ``inconclusive`` or ``continue``; its bounds are
        those that decide, its smallest detectable change the distance from the bound at which a ratio can be told.
    """
    count = len(duets)
    last = final or count >= LOOKS[-1]
    found = difference(duets, noise)
    if found is None:
        return Look("inconclusive" if last else "continue", count, why=TOO_FEW if last else "")
    limit = math.log(expectation.ratio)
    if expectation.sign == "<":
        low, high = found.lower(1 - CLEAR_LEVEL), found.upper(POWER)
        fails, holds = low > limit, high < limit
    else:
        low, high = found.lower(1 - POWER), found.upper()
        fails, holds = high < limit, low > limit
    verdict: Literal["pass", "regressed", "inconclusive", "continue"] = "inconclusive" if last else "continue"
    if count in LOOKS or count >= LOOKS[-1]:
        verdict = "regressed" if fails else "pass" if holds else verdict
    change, low, high = (safe_expm1(value) for value in (found.estimate, low, high))
    detectable = found.smallest_detectable(1 - CLEAR_LEVEL, 0.0)
    return Look(verdict, count, change, low, high, detectable)
