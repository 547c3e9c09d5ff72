"""The causes that remain for a slower step whose work did not change: the kernels, the host, or the machine."""

import statistics
from collections.abc import Mapping, Sequence

from perfgate.gate.wording import percent
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict
from perfgate.reports.difference import Sides
from perfgate.shared.metrics import PYTHON_CALLS, metric

Software = Mapping[str, str]
SAME = 0.005  # yardsticks that differ by less count as equal


def slower(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The regressed verdicts on times."""
    return [v for v in verdicts if v.verdict == "regressed" and metric(v.metric).unit == "s" and not v.expected]


def work_moved(verdicts: Sequence[Verdict]) -> list[str]:
    """The exact metrics that changed, in either direction."""
    return [v.metric for v in verdicts if v.change and metric(v.metric).exact and not v.expected]


def work_known(verdicts: Sequence[Verdict]) -> bool:
    """Whether the work of both sides was counted."""
    return any(v.change is not None and metric(v.metric).exact for v in verdicts)


def remaining(verdicts: Sequence[Verdict], sides: Sides, before: Software, now: Software) -> list[str]:
    """Sentences on a slower step: whether its work explains it, and if not, which causes remain.

    Args:
        verdicts: all verdicts of one case.
        sides: its launches.
        before: the reference's library versions; empty if not known.
        now: the candidate's library versions.
    """
    times = [verdict.metric for verdict in slower(verdicts)]
    if not times:
        return []
    told = " and ".join(times)
    if moved := work_moved(verdicts):
        return [f"{told} got worse, and the work changed with it: {', '.join(moved)} moved."]
    if not work_known(verdicts):
        return [f"{told} got worse. The work of both sides was not counted, so it is open whether it changed."]
    return [
        f"{told} got worse without any change in exact metrics: both sides run the same operators on the same sizes.",
        "What remains:",
        f"- kernels: {of_kernels(before, now)}",
        f"- host: {of_host(verdicts)}",
        f"- machine: {of_machine(sides)}",
    ]


def of_kernels(before: Software, now: Software) -> str:
    """A clause on the code below the operators."""
    if not before:
        return "the versions of the reference's libraries are not known"
    names = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if not names:
        return "the libraries have the same versions on both sides; memory layouts and values of inputs may differ"
    return "other versions: " + ", ".join(
        f"{name} {before.get(name, 'none')} to {now.get(name, 'none')}" for name in names
    )


def of_host(verdicts: Sequence[Verdict]) -> str:
    """A clause on the Python code around the operators."""
    found = next((v for v in verdicts if v.metric == PYTHON_CALLS and v.change is not None), None)
    if found is None:
        return "Python's calls were not counted on both sides; Python code may have grown, or it waits"
    return "Python enters as many functions as before; code within one function may have grown, or it waits"


def of_machine(sides: Sides) -> str:
    """A clause on the machine during both sides."""
    if any(launch.pair is not None for launch in sides.now) and sides.before:
        return "both sides took their steps in turn, so a slower machine would have slowed both"
    units = [yardstick(side) for side in (sides.before, sides.now)]
    if not all(units):
        return "the sides were measured at different times; `perfgate doctor` tells how quiet the machine is"
    change = units[1] / units[0] - 1
    if abs(change) < SAME:
        return "the sides were measured at different times, and the yardstick beside them took equally long"
    return f"the yardstick, which is the same code in both, took {percent(change)}; times are judged in its units"


def yardstick(launches: Sequence[Launch]) -> float:
    """The typical time of the yardstick beside valid launches; 0 if none ran."""
    found = [statistics.median(launch.yardstick_s) for launch in launches if launch.yardstick_s and not launch.invalid]
    return statistics.median(found) if found else 0.0
