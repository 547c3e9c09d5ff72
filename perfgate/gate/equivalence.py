"""Equivalence: a setting must produce the same tokens, losses or logits as vanilla, or nearly the same."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError, nearest

OUTCOMES = ("tokens", "losses", "logits")


@dataclass(frozen=True)
class Equivalence:
    """The expectation that a result of the setting is equal or close to vanilla's.

    Attributes:
        metric: ``tokens``, ``losses`` or ``logits``.
        bound: the largest distance, as a share of the Euclidean norm of vanilla's result; 0 if both must be equal.
    """

    metric: str
    bound: float = 0.0

    def __str__(self) -> str:
        return f"within {self.bound:g} of vanilla's" if self.bound else "the same as vanilla's"


def parse_likenesses(same: object, near: object) -> list[Equivalence]:
    """Read the arguments ``same`` and ``near`` of ``effect(..., same="tokens", near={"losses": 0.01})``.

    Raises:
        UserError: a name is unknown, or a bound is not possible.
    """
    names = [same] if isinstance(same, str) else list(same) if isinstance(same, list | tuple) else None
    if names is None or not isinstance(near, Mapping):
        raise UserError("effect(): same is a name or several, near a mapping such as {'losses': 0.01}")
    found = [Equivalence(str(name)) for name in names]
    for name, bound in near.items():
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not 0 < bound < math.inf:
            raise UserError(f"effect(): near={{{name!r}: {bound!r}}} needs a share above 0, such as 0.01")
        found.append(Equivalence(str(name), float(bound)))
    if unknown := [item.metric for item in found if item.metric not in OUTCOMES]:
        raise UserError(f"effect(): unknown outcome {unknown[0]!r}{nearest(unknown[0], OUTCOMES)}")
    return found


def distance(vanilla: Sequence[float], setting: Sequence[float]) -> float:
    """The distance of the setting's result from vanilla's, as a share of the Euclidean norm of vanilla's result.

    It is infinite if the numbers of values differ, or a value is not finite.
    """
    if len(vanilla) != len(setting):
        return math.inf
    apart, length = math.dist(vanilla, setting), math.hypot(*vanilla)
    found = apart / length if length else math.inf if apart else 0.0
    return found if math.isfinite(found) else math.inf


def alike(case: str, item: Equivalence, vanilla: Sequence[float], setting: Sequence[float]) -> Verdict:
    """Decide whether a result of the setting is equal or close enough to vanilla's."""
    found = distance(vanilla, setting)
    unequal = sum(a != b for a, b in zip(vanilla, setting, strict=False))
    if len(vanilla) != len(setting):
        why = f"there are {len(setting)} in place of {len(vanilla)}"
    elif unequal:
        why = f"{unequal} of {len(vanilla)} differ, at a distance of {found:.2g}"
    else:
        why = f"all {len(vanilla)} are equal"
    held = found <= item.bound
    return Verdict(case, item.metric, "pass" if held else "regressed", why=why, expected=str(item), against="vanilla")
