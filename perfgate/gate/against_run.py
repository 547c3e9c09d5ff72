"""Compares recorded launches with recorded launches: two run files, or the two sides of one."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

from perfgate.gate import duets
from perfgate.gate.clocks import choose, on, told_by_case
from perfgate.gate.dry_run import DRY_RUN, against_launches, only_now
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
from perfgate.gate.python_calls import uncounted, unlike
from perfgate.gate.statistics import against_sessions
from perfgate.gate.two_times import of_launches, rest_of_step, which, wholes
from perfgate.gate.verdicts import DELTA_MIN_SHARE, Comparison, logarithms, noisy_verdict, share_of_alpha
from perfgate.gate.versions import SAME, Upgrade
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict
from perfgate.shared.metric import Metric
from perfgate.shared.metrics import METRICS, metric

OTHER_WORKLOAD = "the two runs measured different workloads under this id"
NOT_MEASURED = "measured in the reference, but not in the candidate"


def compare(
    reference: Mapping[str, Sequence[Launch]],
    candidate: Mapping[str, Sequence[Launch]],
    tolerances: Mapping[str, Mapping[str, float]],
    upgrade: Upgrade = SAME,
) -> list[Verdict]:
    """Judge each case of the candidate; the data are looked at once.

    Args:
        reference: launches by case; their ``side`` does not matter.
        candidate: launches by case.
        tolerances: the cases' own tolerances, by case and metric.
        upgrade: the step from the reference's library versions to the candidate's.
    """
    choices = {case: choose([*reference.get(case, ()), *launches]) for case, launches in candidate.items()}
    reference, candidate = (
        {case: on(choices[case], launches) for case, launches in side.items() if case in choices}
        for side in (reference, candidate)
    )
    shared = sum(
        bool(having(reference.get(case, ()), name))
        for case, launches in candidate.items()
        for name in gated_values(launches)
    )
    alpha = share_of_alpha(shared)
    verdicts = [
        verdict
        for case, launches in candidate.items()
        for verdict in compare_case(case, reference.get(case, ()), launches, tolerances.get(case, {}), alpha, upgrade)
    ]
    verdicts = [upgrade.told(verdict) for verdict in told_by_case(choices, verdicts)]
    return sorted(verdicts, key=lambda verdict: (verdict.case, list(METRICS).index(verdict.metric)))


def compare_case(
    case: str,
    before: Sequence[Launch],
    now: Sequence[Launch],
    tolerances: Mapping[str, float],
    alpha: float,
    upgrade: Upgrade = SAME,
) -> list[Verdict]:
    """Judge every metric of one case.

    Args:
        case: its id.
        before: launches of the reference; empty if the case is new.
        now: launches of the candidate.
        tolerances: the case's own tolerances, by metric.
        alpha: each metric's share of the chance of a false alarm.
        upgrade: the step from the reference's library versions to the candidate's.
    """
    broken = [
        replace(verdict, why=f"in the reference, {verdict.why}")
        for verdict in invalid_verdicts(case, before)
        if verdict.metric != DRY_RUN
    ]
    verdicts = invalid_against(case, before, now) or [*only_now(case, before, now), *broken]
    varied = [replace(verdict, why=f"in the reference, {verdict.why}") for verdict in uncounted(case, before)]
    verdicts += uncounted(case, now) or varied
    for name, values in gated_values(now).items():
        earlier = having(before, name)
        if earlier and ways(earlier, name) != ways(having(now, name), name):
            verdicts.append(otherwise_verdict(case, name, values, "what the other run measured"))
        elif earlier and (verdict := unlike(case, name, earlier, having(now, name))):
            verdicts.append(verdict)
        elif earlier:
            tolerance = upgrade.limit(metric(name), tolerances.get(name, metric(name).tolerance))
            verdicts.append(compare_metric(case, metric(name), earlier, having(now, name), tolerance, alpha))
        elif not broken and not (varied and metric(name).of_python):
            verdicts.append(new_verdict(case, name, values))
    judged = {verdict.metric for verdict in verdicts}
    for name, values in gated_values(before).items():
        if name not in judged and not (DRY_RUN in judged and metric(name).dry):
            held = statistics.median(values)
            verdicts.append(Verdict(case, name, "inconclusive", reference=held, why=NOT_MEASURED))
    return which(verdicts)


def ways(launches: Sequence[Launch], name: str) -> set[int]:
    """The numbers of the ways in which the launches measured a metric."""
    return {launch.way(name) for launch in launches}


def invalid_against(case: str, before: Sequence[Launch], now: Sequence[Launch]) -> list[Verdict]:
    """One verdict for each pass of the candidate that cannot be used; a lost dry run is a regression.

    If the reference has no dry run either, the other passes decide.
    """
    found = [
        against_launches(verdict, before, now) if verdict.metric == DRY_RUN else verdict
        for verdict in invalid_verdicts(case, now)
    ]
    return [verdict for verdict in found if verdict is not None]


def compare_metric(
    case: str, what: Metric, before: Sequence[Launch], now: Sequence[Launch], tolerance: float, alpha: float
) -> Verdict:
    """Judge one metric by launches that all measured it."""
    if {launch.workload for launch in before} != {launch.workload for launch in now}:
        return Verdict(case, what.name, "stale", launches=len(now), why=OTHER_WORKLOAD)
    old, new = ([launch.value(what.name) for launch in side] for side in (before, now))
    rest = rest_of_step(what, of_launches(before))
    held = Comparison(case, what.name, statistics.median(old), statistics.median(new), len(new), tolerance, rest)
    demoted = ""
    if not what.noisy:
        if verdict := exact_if_repeated(held, (old, new), before, now):
            return verdict
        demoted = f"demoted to noisy: {why_it_varies(what.name, now)}"
    threshold = tolerance * DELTA_MIN_SHARE
    if found := duets.of_launches(before, now, what.name):
        return noisy_verdict(held, duets.difference(found), alpha, threshold, demoted)
    old, new = ratios_of_both(what, before, now) or (old, new)
    apart = against_sessions(
        logarithms({"": wholes(old, rest)}), [math.log(value) for value in wholes(new, rest)], prior_of(what)
    )
    return noisy_verdict(held, apart, alpha, threshold, demoted or prior_note(what, apart))


def ratios_of_both(
    what: Metric, before: Sequence[Launch], now: Sequence[Launch]
) -> tuple[list[float], list[float]] | None:
    """The values of both sides as ratios to the yardstick; ``None`` if seconds are to be compared.

    All launches must have had the same yardstick. On a GPU seconds are compared.
    """
    units = {(launch.yardstick_kind, launch.details.yardstick.version) for launch in (*before, *now)}
    if len(units) != 1 or now[-1].yardstick_kind != "cpu":
        return None
    old, new = ratios_to_yardstick(what, before), ratios_to_yardstick(what, now)
    return (old, new) if old and new else None
