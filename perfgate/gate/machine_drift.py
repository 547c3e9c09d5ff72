"""Machine drift: the yardstick's components show whether the hardware is still that of the stored numbers."""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from perfgate.gate.statistics import against_sessions, safe_expm1
from perfgate.gate.verdicts import MIN_BASELINE_SESSIONS
from perfgate.gate.wording import percent

Parts = Mapping[str, float]
LEAST = 0.10
LEVEL = 0.001
ALLOWANCE = 2.0
OF_HOST = ("launches_s",)  # components of a GPU's yardstick that run on the host, not on the device


@dataclass(frozen=True)
class Move:
    """Two components that moved against each other.

    Attributes:
        slower: the component whose time grew in proportion to the other's.
        other: the other component.
        change: the change of their ratio; 0.25 is 25%.
        share: the part of a step that the move can affect: the host's share if one component is the host's, else 1.
    """

    slower: str
    other: str
    change: float
    share: float = 1.0

    @property
    def allowed(self) -> float:
        """The largest difference in time that the move explains, as the logarithm of a ratio."""
        return ALLOWANCE * self.share * math.log1p(self.change)

    def explains(self, difference: float) -> bool:
        """Whether the move could be the cause of a case's difference in time, given as the logarithm of a ratio.

        A case may use one component more than the yardstick does, so the move explains differences up to twice its
        size. A larger difference comes from the case itself, because a component's time depends a little on the steps
        around it.
        """
        return abs(difference) <= self.allowed

    def __str__(self) -> str:
        slower, other = (part.removesuffix("_s") for part in (self.slower, self.other))
        named = f"{slower} {percent(self.change)} against {other}"
        return f"the yardstick's components moved against each other: {named} since the baseline"


def moved(stored: Mapping[str, Sequence[Parts]], now: Sequence[Parts], host_share: float = 1.0) -> Move | None:
    """The move that explains most, among pairs of components whose ratio certainly changed by at least 10%.

    If all components slow down alike, their ratios stay the same: such a machine is slower, but of the same kind. Each
    pair is tested in both directions at 0.1%, as times are (``against_sessions``). Fewer than three sessions decide
    nothing.

    Args:
        stored: the components' times in seconds in each stored launch, by session.
        now: the components' times in the launches of this run.
        host_share: the host's share of the time that is judged.
    """
    if len(stored) < MIN_BASELINE_SESSIONS or not now:
        return None
    everything = [*itertools.chain.from_iterable(stored.values()), *now]
    shared = [name for name in everything[0] if all(name in parts for parts in everything)]
    changes = {(a, b): grown(stored, now, ratio_of(a, b)) for a, b in itertools.permutations(shared, 2)}
    moves = [
        Move(*pair, change, host_share if set(pair) & set(OF_HOST) else 1.0)
        for pair, change in changes.items()
        if change is not None
    ]
    return max(moves, key=lambda move: move.allowed, default=None)


def ratio_of(part: str, other: str) -> Callable[[Parts], float]:
    """A function that returns the ratio of two components of a launch."""
    return lambda parts: parts[part] / parts[other]


def drifted(stored: Mapping[str, Sequence[Parts]], now: Sequence[Parts]) -> float | None:
    """The share by which the whole yardstick got slower, by the rule of ``moved``; ``None`` if it did not."""
    if len(stored) < MIN_BASELINE_SESSIONS or not now:
        return None
    return grown(stored, now, lambda parts: sum(parts.values()))


def grown(stored: Mapping[str, Sequence[Parts]], now: Sequence[Parts], of: Callable[[Parts], float]) -> float | None:
    """The share by which a function of the components grew; ``None`` unless it grew for certain and by at least 10%."""
    before = {session: [math.log(of(parts)) for parts in group] for session, group in stored.items()}
    found = against_sessions(before, [math.log(of(parts)) for parts in now])
    if found is None or found.estimate < math.log1p(LEAST) or found.lower(LEVEL) <= 0:
        return None
    return safe_expm1(found.estimate)
