"""Duets in the gate: the differences between reference and candidate, and how much these vary."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from perfgate.gate.noise import UNKNOWN, Noise, Spread
from perfgate.gate.statistics import Difference, f_tail, sum_of_squares
from perfgate.gate.two_times import of_launches as of_session
from perfgate.gate.two_times import rest_of_step
from perfgate.records.launch import Launch
from perfgate.shared.metrics import metric

SERVERS_DIFFER = 0.01


@dataclass(frozen=True)
class Duet:
    """One metric of one duet.

    Attributes:
        difference: the median of log(candidate / reference) over pairs of steps; above 0 is slower.
        servers: the pair of servers that the two actors were forked from.
        steps: the number of pairs of steps.
    """

    difference: float
    servers: str = ""
    steps: int = 1


def of_launches(reference: Iterable[Launch], candidate: Iterable[Launch], name: str) -> list[Duet]:
    """The duets among recorded launches: two launches with the same ``pair`` that measured a metric.

    Their lists have one value for each step, and values at the same position form a pair. A launch without its partner
    is left out.
    """
    partners = {launch.pair: launch for launch in reference if launch.pair is not None and launch.side == "reference"}
    found = []
    for launch in candidate:
        if launch.pair is not None and launch.pair in partners:
            found.append(of_pair(partners[launch.pair], launch, name))
    return found


def of_pair(reference: Launch, candidate: Launch, name: str, of_step: bool = True) -> Duet:
    """The duet of two launches.

    Args:
        reference: its launch of the reference.
        candidate: its launch of the candidate.
        name: the metric.
        of_step: whether to relate the change of a part of a step to the whole step, for metrics that are such a part.
    """
    servers = f"{reference.server or ''}+{candidate.server or ''}"
    rest = rest_of_step(metric(name), of_session([reference])) if of_step else 0.0
    beside, steps = reference.metrics[name], candidate.metrics[name]
    if isinstance(steps, list) and isinstance(beside, list):
        ratios = [math.log(a + rest) - math.log(b + rest) for a, b in zip(steps, beside, strict=False)]
        return Duet(statistics.median(ratios), servers, len(ratios))
    return Duet(math.log(candidate.value(name) + rest) - math.log(reference.value(name) + rest), servers)


def spread(duets: Sequence[Duet]) -> Spread:
    """Estimate the variance of one duet from the duets at hand.

    Launches of one server share its memory layout. If the means of pairs of servers differ by more than the spread of
    their duets explains (F test, 1%), the duets of one pair are not independent. The spread is then that between the
    pairs, with one degree of freedom less than there are pairs. Otherwise all duets count. If the spread between pairs
    were always taken, nothing could be decided: with two pairs Student's t has one degree of freedom.
    """
    values = [duet.difference for duet in duets]
    df = len(values) - 1
    if df < 1:
        return Spread(0.0, 0.0)
    everything = Spread(sum_of_squares(values) / df, float(df))
    groups: dict[str, list[float]] = {}
    for duet in duets:
        groups.setdefault(duet.servers, []).append(duet.difference)
    between_freedom, within_freedom = len(groups) - 1, len(values) - len(groups)
    if between_freedom < 1 or within_freedom < 1:
        return everything
    mean = statistics.fmean(values)
    between = sum(len(group) * (statistics.fmean(group) - mean) ** 2 for group in groups.values()) / between_freedom
    within = sum(map(sum_of_squares, groups.values())) / within_freedom
    if f_tail(between, between_freedom, within, within_freedom) < SERVERS_DIFFER:
        return Spread(between, float(between_freedom))
    return everything


def difference(duets: Sequence[Duet], noise: Noise = UNKNOWN) -> Difference | None:
    """Estimate the change from duets, with its uncertainty.

    Args:
        duets: fresh duets, without the screen's.
        noise: the noise of this machine.

    Returns:
        The estimate; ``None`` if the spread is not known, as for a single duet on a machine without ``noise.json``.
    """
    known = noise.moderate(spread(duets))
    if not duets or known.df == 0:
        return None
    error = math.sqrt(known.variance / len(duets))
    mean = statistics.fmean(duet.difference for duet in duets)
    return Difference(mean, error, known.df, error, known.df, len(duets))
