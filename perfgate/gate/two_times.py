"""The two parts of a step on a GPU: the time in kernels, and the time in which the device waits for the host."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from perfgate.gate.verdicts import typical
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict
from perfgate.shared.metric import Metric
from perfgate.shared.metrics import METRICS

STEP, DEVICE, HOST = "step_time_s", "device_time_s", "host_time_s"
Values = Mapping[str, Sequence[float]]


def rest_of_step(what: Metric, stored: Callable[[str], Values]) -> float:
    """The reference's time for the rest of the step beside a metric that is a part of it; 0 for other metrics.

    Args:
        what: the metric.
        stored: a function from a metric's name to its values in the reference by session.
    """
    values = {session: group for session, group in stored(what.beside).items() if group} if what.beside else {}
    return typical(values) if values else 0.0


def of_launches(launches: Sequence[Launch]) -> Callable[[str], Values]:
    """A function from a metric's name to its values in launches of one session."""
    return lambda name: {"": [launch.value(name) for launch in launches if name in launch.metrics]}


def host_share(what: Metric, launches: Sequence[Launch]) -> float:
    """The host's share of a metric's time; 1 if it is not known."""
    if what.name == DEVICE:
        return 0.0
    shares = [launch.value("host_bound_share") for launch in launches if "host_bound_share" in launch.metrics]
    return statistics.median(shares) if shares else 1.0


def wholes(values: Sequence[float], rest: float) -> list[float]:
    """Add the rest of the step to each value, so that their ratios are changes of the whole step."""
    return [value + rest for value in values]


def which(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts of a case; one on a step that became slower or faster also tells the change of each part."""
    known = {verdict.metric: verdict for verdict in verdicts if verdict.change is not None and not verdict.expected}
    if DEVICE not in known or HOST not in known:
        return list(verdicts)
    parts = " and ".join(f"{title} {moved(known[name])}" for name, title in TITLES.items())
    return [
        replace(verdict, why="; ".join(filter(None, [verdict.why, parts])))
        if verdict.metric == STEP and verdict.verdict in ("regressed", "improved") and not verdict.expected
        else verdict
        for verdict in verdicts
    ]


TITLES = {DEVICE: "its kernels take", HOST: "the device waits for the host"}


def moved(verdict: Verdict) -> str:
    """The change of a part of the step in seconds, in words."""
    apart = (verdict.candidate or 0.0) - (verdict.reference or 0.0)
    more = "more" if apart >= 0 else "less"
    return f"{METRICS[verdict.metric].show(abs(apart))} {more}"
