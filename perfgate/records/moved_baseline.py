"""Makes the new baseline of a case from a run, as the run's update mode allows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from perfgate.records.baselines import Baseline, StoredLaunch
from perfgate.records.clocks import is_clocked
from perfgate.records.launch import Launch
from perfgate.records.store import PORTABLE
from perfgate.records.verdict import Verdict
from perfgate.shared.metric import FIRST_WAY
from perfgate.shared.metrics import metric

DIGITS = 4  # decimals of stored shares, to keep the file short
MODES = ("new", "improved", "more", "all")


def moved_baseline(
    mode: str,
    case: str,
    launches: Sequence[Launch],
    verdicts: Sequence[Verdict],
    before: Baseline | None,
    run: Mapping[str, Any],
) -> Baseline | None:
    """The new baseline of a case in an update mode; ``None`` if the stored one stays.

    Args:
        mode: ``new`` stores cases and metrics that have no baseline; ``improved`` also replaces the metrics that got
            better, where none got worse; ``more`` stores new cases and adds this session to what is unchanged;
            ``all`` replaces everything that was measured.
        launches: the case's launches in this run.
        verdicts: the verdicts on its metrics.
        before: the stored baseline.
        run: ``session``, ``commit``, ``date``, ``reason`` and ``software`` of this run; perhaps ``surroundings`` of the
            case, and for ``all`` who accepts it (``by``) and ``until`` which day.
    """
    if leaves_times(launches, before):
        return None
    stored = tuple(stored_launches(launches, run))
    names = {verdict.verdict for verdict in verdicts}
    workload = launches[0].workload if launches else before.workload if before else ""
    identity = {"workload": workload, "commit": run["commit"], "date": run["date"]}
    accepted = {key: run.get(key, "") for key in ("reason", "by", "until")}
    lost = {verdict.verdict for verdict in verdicts if verdict.metric == "dry_run"}
    if mode == "all" and lost & {"regressed", "stale"}:
        # The user accepted that the case no longer has a dry run: keep the reason and drop the numbers.
        return Baseline(case, **identity, **accepted, launches=stored)
    if not stored or "invalid" in names:
        return None
    if before is None and mode != "all" and {"stale", "regressed"} & names:
        return None  # such a comparison is with another pair of versions
    if before is None:
        return Baseline(case, **identity, reason=run["reason"] or "first measured", launches=stored)
    others = of_other_pythons(before.launches, stored) if before.workload == workload else []
    if mode == "all":
        return Baseline(case, **identity, **accepted, launches=(*others, *stored))
    if {"stale", "regressed"} & names:
        return None
    better = {verdict.metric for verdict in verdicts if verdict.verdict == "improved"}
    if mode == "improved" and better:
        here = [launch for launch in before.launches if launch not in others]
        kept = (*others, *only(here, set(before.metrics) - better))
        about = {"commit": run["commit"], "date": run["date"], "reason": "improved", "by": "", "until": ""}
        moved = replace(before, **about, launches=kept)
        return moved.with_session(only(stored, better))
    if mode == "more" and not better:
        return before.without_earlier_ways(stored).with_session(stored)
    fresh = {verdict.metric for verdict in verdicts if verdict.verdict == "new"}
    if mode not in ("new", "improved") or not fresh:
        return None
    added = only(stored, fresh)
    return before.without_earlier_ways(added).with_session(added)


def leaves_times(launches: Sequence[Launch], before: Baseline | None) -> bool:
    """Whether the baseline has times and this run has none.

    A baseline stands for the code of the commit that last changed it. If other metrics moved without its times, they
    would stand for code that nobody has timed.
    """
    stored = before is not None and any(is_clocked(name) for name in before.metrics)
    return stored and not any(is_clocked(name) and x.measured(name) for x in launches for name in x.metrics)


def of_other_pythons(before: Iterable[StoredLaunch], now: Iterable[StoredLaunch]) -> list[StoredLaunch]:
    """The stored counts of Python's calls under another Python or device, which a run here cannot replace."""
    measured = {launch.device for launch in now}
    return [launch for launch in before if launch.of_python and launch.device not in measured]


def only(launches: Iterable[StoredLaunch], names: set[str]) -> list[StoredLaunch]:
    """The launches with only the named metrics. Launches that have none of them are left out."""
    found = [launch.with_only(names) for launch in launches]
    return [launch for launch in found if launch.metrics]


def stored_launches(launches: Sequence[Launch], run: Mapping[str, Any]) -> Iterator[StoredLaunch]:
    """The valid launches with their gated metrics, in the form that a baseline stores."""
    for launch in launches:
        if launch.invalid or not any(metric(name).gated_in(launch.pass_name) for name in launch.metrics):
            continue
        wall, processor = launch.on("wall"), launch.on("processor")
        about = (run["session"], launch.server or "", device_of(launch), run["commit"], run["date"])
        found = StoredLaunch(*about, values_of(wall), launch.yardstick, launch.ledger, wall.parts)
        ways = {name: launch.way(name) for name in found.metrics if launch.way(name) != FIRST_WAY}
        found = replace(found, surroundings=run.get("surroundings", {}), ways=ways)
        if found.device != PORTABLE and not found.of_python:
            found = replace(found, software=run.get("software", {}))
        if "clock_mhz" in launch.metrics:
            found = replace(found, clock_mhz=launch.value("clock_mhz"))
        if processor.clock == "processor":
            times = {name: pair for name, pair in values_of(processor).items() if is_clocked(name)}
            waited = None if launch.waited is None else round(launch.waited, DIGITS)
            found = replace(found, processor=times, processor_parts=processor.parts, waited=waited)
            found = replace(found, idle=round(launch.idle, DIGITS))
        yield found


def device_of(launch: Launch) -> str:
    """The device for which a stored launch's numbers hold."""
    if any(metric(name).of_python for name in launch.metrics):
        return launch.details.findings.counted_under
    return PORTABLE if launch.pass_name == "dry" else launch.details.seen.device or "cpu"


def values_of(launch: Launch) -> dict[str, tuple[float, float | None]]:
    """The gated metrics of a launch: each one's value, and its ratio to the yardstick."""
    names = [name for name in launch.metrics if metric(name).gated_in(launch.pass_name)]
    return {name: (launch.value(name), launch.in_yardsticks(name)) for name in names}
