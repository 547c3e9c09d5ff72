"""Compares a case's launches with its stored baseline."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from perfgate.gate.clocks import UNCLOCKED, WALL, ClockChoice
from perfgate.gate.device_clock import OtherClock, other_clock
from perfgate.gate.launches import (
    exact_if_repeated,
    gated_values,
    having,
    invalid_verdicts,
    new_verdict,
    otherwise_verdict,
    prior_note,
    prior_of,
    ratios_to_yardstick,
    why_it_varies,
)
from perfgate.gate.machine_drift import Move, drifted, moved
from perfgate.gate.python_calls import uncounted
from perfgate.gate.statistics import against_sessions
from perfgate.gate.two_times import host_share, rest_of_step, wholes
from perfgate.gate.verdicts import (
    MIN_BASELINE_LAUNCHES,
    MIN_BASELINE_SESSIONS,
    Comparison,
    logarithms,
    noisy_verdict,
    share_of_alpha,
    typical,
    young_verdict,
)
from perfgate.gate.versions import SAME, Upgrade
from perfgate.gate.wording import percent
from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict
from perfgate.shared.metric import Metric
from perfgate.shared.metrics import metric

MISSING = "stored, but not measured in this run"
OTHER_WORKLOAD = "the workload changed under its id, so the stored numbers belong to another one"


def against_baseline(
    case: str,
    workload: str,
    launches: Sequence[Launch],
    baseline: Baseline | None,
    tolerances: Mapping[str, float],
    pairs: int,
    upgrade: Upgrade = SAME,
    clock: ClockChoice = WALL,
) -> list[Verdict]:
    """Judge one case of a run.

    Args:
        case: its id.
        workload: the identity of its workload.
        launches: all of the case's launches, the invalid ones among them, with their times on ``clock``.
        baseline: the stored baseline of the case on this machine, or ``None``.
        tolerances: the case's own largest acceptable changes, by metric.
        pairs: noisy case-metric pairs of the whole suite, among which the chance of a false alarm is divided.
        upgrade: the step from the baseline's library versions to those of now.
        clock: the clock for times, from ``choose_against``.
    """
    whole = baseline
    baseline = baseline and baseline.on(clock.clock or "wall")
    verdicts = invalid_verdicts(case, launches) + uncounted(case, launches)
    known = {verdict.metric for verdict in verdicts}
    measured = gated_values(launches)
    for name, values in measured.items():
        if baseline is None or name not in baseline.metrics:
            verdicts.append(new_verdict(case, name, values))
        elif baseline.workload != workload:
            held = statistics.median(values)
            verdicts.append(Verdict(case, name, "stale", candidate=held, launches=len(values), why=OTHER_WORKLOAD))
        elif not baseline.values(name):
            verdicts.append(otherwise_verdict(case, name, values, "what is stored"))
        else:
            tolerance = upgrade.limit(metric(name), tolerances.get(name, metric(name).tolerance))
            verdicts.append(against_stored(case, metric(name), launches, baseline, tolerance, share_of_alpha(pairs)))
    for name in whole.metrics if whole else ():
        if whole and name not in measured and name not in known:
            stored = whole.values(name)
            reference = typical(stored) if stored else None
            # A metric that only wall time knows is not reported as missing when times are judged on processor time.
            lacking = baseline is not None and name not in baseline.metrics
            why = UNCLOCKED if lacking else MISSING
            verdicts.append(Verdict(case, name, "inconclusive", reference=reference, why=why))
    return [upgrade.told(clock.told(verdict)) for verdict in verdicts]


def against_stored(
    case: str, what: Metric, launches: Sequence[Launch], baseline: Baseline, tolerance: float, alpha: float
) -> Verdict:
    """Judge one metric that was measured and has stored values."""
    stored, now = baseline.values(what.name), having(launches, what.name)
    values = [launch.value(what.name) for launch in now]
    rest = rest_of_step(what, baseline.values)
    held = Comparison(case, what.name, typical(stored), statistics.median(values), len(values), tolerance, rest)
    demoted = ""
    if not what.noisy:
        if verdict := exact_if_repeated(held, (values, *stored.values()), baseline.launches, now):
            return verdict
        demoted = f"demoted to noisy: {why_it_varies(what.name, now)}"
    parts = [launch.parts for launch in now]
    stored_parts = baseline.parts(what.name, now[-1].yardstick) if timed(what) and all(parts) else {}
    slower = ""
    if ratios := in_yardsticks(what, baseline, stored, now):
        stored, values = ratios
    elif drift := drifted(stored_parts, parts):
        slower = f"the yardstick beside it is {percent(drift, '')} slower than in the baseline"
    stored, values = {session: wholes(group, rest) for session, group in stored.items()}, wholes(values, rest)
    count = sum(map(len, stored.values()))
    if (what.needs_sessions or demoted) and (count < MIN_BASELINE_LAUNCHES or len(stored) < MIN_BASELINE_SESSIONS):
        return young_verdict(held, statistics.median(values) / typical(stored) - 1, count, len(stored))
    found = against_sessions(logarithms(stored), [math.log(value) for value in values], prior_of(what))
    why = demoted or "; ".join(filter(None, (slower, prior_note(what, found))))
    verdict = noisy_verdict(held, found, alpha, tolerance, why)
    if timed(what) and found:
        move = moved(stored_parts, parts, host_share(what, now))
        clock = other_clock(baseline.launches, now, host_share(what, now))
        causes: tuple[Move | OtherClock | None, ...] = (move, clock)
        for cause in causes:
            if cause and cause.explains(found.estimate):
                return suspended(verdict, cause)
    return verdict


def in_yardsticks(
    what: Metric, baseline: Baseline, stored: Mapping[str, Sequence[float]], now: Sequence[Launch]
) -> tuple[dict[str, list[float]], list[float]] | None:
    """Stored and new values as ratios to the yardstick; ``None`` if seconds are compared: on a GPU.

    All launches must have had a yardstick of the same version.
    """
    if now[-1].yardstick_kind != "cpu":
        return None
    yardsticks, ratios = baseline.yardsticks(what.name, now[-1].yardstick), ratios_to_yardstick(what, now)
    if ratios is None or sum(map(len, yardsticks.values())) != sum(map(len, stored.values())):
        return None
    return yardsticks, ratios


def timed(what: Metric) -> bool:
    """Whether a metric is a time that depends on the machine's speed."""
    return what.noisy and what.unit == "s"


def suspended(verdict: Verdict, cause: Move | OtherClock) -> Verdict:
    """Make a timing verdict inconclusive because the hardware changed; its reason keeps the observed change."""
    looked = (
        f"the change looked like {percent(verdict.change)} ({verdict.verdict})" if verdict.change is not None else ""
    )
    why = "; ".join(filter(None, (f"{cause}, so the machine is another one", looked)))
    return replace(verdict, verdict="inconclusive", why=why)
