"""From the launches of one case to its verdicts, against a stored baseline or against another run."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from perfgate.gate import duets
from perfgate.gate.attribution import growth
from perfgate.gate.clocks import choose, choose_against, on, told_by_case
from perfgate.gate.machine_drift import Move, drifted, moved, ratios_repeat_better
from perfgate.gate.statistics import Difference, against_sessions
from perfgate.gate.verdicts import (
    DELTA_MIN_SHARE,
    MIN_BASELINE_LAUNCHES,
    MIN_BASELINE_SESSIONS,
    Comparison,
    agree,
    exact_verdict,
    logarithms,
    noisy_verdict,
    share_of_alpha,
    typical,
    young_verdict,
)
from perfgate.records.baselines import Baseline, StoredLaunch
from perfgate.records.launch import Launch
from perfgate.records.metrics import METRICS, Metric, metric
from perfgate.records.verdict import Verdict

MISSING = "stored, but not measured in this run"
PASS_METRIC = {"memory": "peak_memory_bytes", "counters": "host_syncs", "dry": "operator_calls"}


def against_baseline(
    case: str,
    workload: str,
    launches: Sequence[Launch],
    baseline: Baseline | None,
    tolerances: Mapping[str, float],
    pairs: int,
) -> list[Verdict]:
    """Judge one case of a run.

    Args:
        case: its id.
        workload: identity of what was run.
        launches: all of the case's launches, the invalid ones among them.
        baseline: what is stored for the case on this machine, if anything.
        tolerances: largest acceptable change by metric, where the case names its own.
        pairs: noisy case-metric pairs of the whole suite, among which the chance of a false alarm is divided.
    """
    choice = choose_against(launches, baseline)
    launches = on(choice, launches)
    baseline = baseline and baseline.on(choice.clock or "wall")
    verdicts = invalid_verdicts(case, launches)
    known = {verdict.metric for verdict in verdicts}
    measured = gated_values(launches)
    for name, values in measured.items():
        held = statistics.median(values)
        if baseline is None or not baseline.values(name):
            verdicts.append(Verdict(case, name, "new", candidate=held, launches=len(values)))
        elif baseline.workload != workload:
            why = "the workload changed under its id, so the stored numbers are of something else"
            verdicts.append(Verdict(case, name, "stale", candidate=held, launches=len(values), why=why))
        else:
            tolerance = tolerances.get(name, metric(name).tolerance)
            verdicts.append(_stored(case, metric(name), launches, baseline, tolerance, share_of_alpha(pairs)))
    if baseline is not None:
        for name in baseline.metrics:
            if name not in measured and name not in known:
                reference = typical(baseline.values(name))
                verdicts.append(Verdict(case, name, "inconclusive", reference=reference, why=MISSING))
    return [choice.told(verdict) for verdict in verdicts]


def beside_nearest(verdicts: Sequence[Verdict], pair: str, nearest: Baseline) -> list[Verdict]:
    """Say with each new exact metric how it differs from the nearest pair of versions that is stored."""
    told = []
    for verdict in verdicts:
        stored = nearest.values(verdict.metric)
        if verdict.verdict == "new" and verdict.candidate is not None and stored and typical(stored):
            change = verdict.candidate / typical(stored) - 1
            verdict = replace(verdict, why=f"{change:+.2%} against {pair}, the nearest that is stored")
        told.append(verdict)
    return told


def _stored(
    case: str, what: Metric, launches: Sequence[Launch], baseline: Baseline, tolerance: float, alpha: float
) -> Verdict:
    stored, now = baseline.values(what.name), having(launches, what.name)
    values = [launch.value(what.name) for launch in now]
    held = Comparison(case, what.name, typical(stored), statistics.median(values), len(values), tolerance)
    demoted = ""
    if what.kind != "noisy":
        if agree(values) and all(map(agree, stored.values())):
            return exact_verdict(held, grown(held, ledger_of(baseline.launches), ledger_of(now)))
        demoted = "demoted to noisy: its launches do not agree"
        if not all_positive(values, *stored.values()):
            return held.verdict("inconclusive", "its launches do not agree")
    parts = [launch.parts for launch in now]
    stored_parts = baseline.parts(what.name, now[-1].yardstick) if timed(what) and all(parts) else {}
    count = sum(map(len, stored.values()))
    note = ""
    if ratios := in_yardsticks(what, baseline, stored, now):
        stored, values = ratios
    elif drift := drifted(stored_parts, parts):
        note = f"the yardstick beside it is {drift:.0%} slower than in the baseline"
    if count < MIN_BASELINE_LAUNCHES or len(stored) < MIN_BASELINE_SESSIONS:
        return young_verdict(held, statistics.median(values) / typical(stored) - 1, count, len(stored))
    found = against_sessions(logarithms(stored), [math.log(value) for value in values])
    verdict = noisy_verdict(
        held, found, alpha, tolerance, demoted or "; ".join(filter(None, (note, prior_note(found))))
    )
    move = moved(stored_parts, parts)
    return suspended(verdict, move) if move and found and move.explains(found.estimate) else verdict


def in_yardsticks(
    what: Metric, baseline: Baseline, stored: Mapping[str, Sequence[float]], now: Sequence[Launch]
) -> tuple[dict[str, list[float]], list[float]] | None:
    """Stored and new values as ratios to the yardstick; ``None`` where seconds are to be compared.

    All launches must have had one of the same version; on a GPU the stored sessions must show besides that ratios
    repeat themselves better.
    """
    yardsticks, ratios = baseline.yardsticks(what.name, now[-1].yardstick), known_ratios(what, now)
    if ratios is None or sum(map(len, yardsticks.values())) != sum(map(len, stored.values())):
        return None
    if now[-1].yardstick_kind != "cpu" and not ratios_repeat_better(stored, yardsticks):
        return None
    return yardsticks, ratios


def known_ratios(what: Metric, launches: Sequence[Launch]) -> list[float] | None:
    """Each launch's ratio to its yardstick; ``None`` where one had none, or the metric does not vary."""
    found = [launch.in_yardsticks(what.name) for launch in launches]
    ratios = [ratio for ratio in found if ratio is not None]
    return ratios if what.kind == "noisy" and len(ratios) == len(found) else None


def timed(what: Metric) -> bool:
    """Whether a metric depends on how fast the machine is."""
    return what.kind == "noisy" and what.unit == "s"


def suspended(verdict: Verdict, move: Move) -> Verdict:
    """The verdict on a time where the machine became another one: not decided, and what it looked like is told."""
    looked = f"the change looked like {verdict.change:+.1%} ({verdict.verdict})" if verdict.change is not None else ""
    why = "; ".join(filter(None, (f"{move}, so the machine is another one", looked)))
    return replace(verdict, verdict="inconclusive", why=why)


def compare(
    reference: Mapping[str, Sequence[Launch]],
    candidate: Mapping[str, Sequence[Launch]],
    tolerances: Mapping[str, Mapping[str, float]],
) -> list[Verdict]:
    """Judge recorded launches against recorded launches, one look.

    Args:
        reference: launches by case; their ``side`` does not matter.
        candidate: launches by case.
        tolerances: by case and metric, where a case names its own.
    """
    both = {case: [*reference.get(case, ()), *launches] for case, launches in candidate.items()}
    choices = {case: choose(launches) for case, launches in both.items()}
    reference, candidate = (
        {case: on(choices[case], launches) for case, launches in side.items() if case in choices}
        for side in (reference, candidate)
    )
    wanted = [(case, name) for case, launches in candidate.items() for name in gated_values(launches)]
    shared = [(case, name) for case, name in wanted if case in reference and having(reference[case], name)]
    alpha = share_of_alpha(len(shared))
    verdicts = [verdict for case, launches in candidate.items() for verdict in invalid_verdicts(case, launches)]
    broken = {case: invalid_verdicts(case, reference[case]) for case in candidate if case in reference}
    known = {verdict.case for verdict in verdicts}
    for case, found in broken.items():
        if case not in known:
            verdicts += [replace(verdict, why=f"in the reference, {verdict.why}") for verdict in found]
    for case, name in wanted:
        now = having(candidate[case], name)
        if (case, name) not in shared and broken.get(case):
            continue
        if (case, name) not in shared:
            middle = statistics.median(launch.value(name) for launch in now)
            verdicts.append(Verdict(case, name, "new", candidate=middle, launches=len(now)))
            continue
        before = having(reference[case], name)
        if {launch.workload for launch in before} != {launch.workload for launch in now}:
            why = "the two runs measured different workloads under this id"
            verdicts.append(Verdict(case, name, "stale", launches=len(now), why=why))
            continue
        tolerance = tolerances.get(case, {}).get(name, metric(name).tolerance)
        verdicts.append(_recorded(case, metric(name), before, now, tolerance, alpha))
    for case in candidate:
        unseen = {verdict.metric for verdict in verdicts if verdict.case == case}
        for name, values in gated_values(reference.get(case, ())).items():
            if name not in unseen:
                why = "measured in the reference, but not in the candidate"
                verdicts.append(Verdict(case, name, "inconclusive", reference=statistics.median(values), why=why))
    verdicts = told_by_case(choices, verdicts)
    return sorted(verdicts, key=lambda verdict: (verdict.case, list(METRICS).index(verdict.metric)))


def _recorded(
    case: str, what: Metric, before: Sequence[Launch], now: Sequence[Launch], tolerance: float, alpha: float
) -> Verdict:
    old, new = ([launch.value(what.name) for launch in side] for side in (before, now))
    held = Comparison(case, what.name, statistics.median(old), statistics.median(new), len(new), tolerance)
    demoted = ""
    if what.kind != "noisy":
        if agree(old) and agree(new):
            return exact_verdict(held, grown(held, ledger_of(before), ledger_of(now)))
        demoted = "demoted to noisy: its launches do not agree"
        if not all_positive(old, new):
            return held.verdict("inconclusive", "its launches do not agree")
    threshold = tolerance * DELTA_MIN_SHARE
    if found := duets.of_launches(before, now, what.name):
        return noisy_verdict(held, duets.difference(found), alpha, threshold, demoted)
    # On a GPU two runs do not tell whether ratios repeat themselves better, so seconds are compared.
    units = {(launch.yardstick_kind, launch.details.get("yardstick_version")) for launch in (*before, *now)}
    if len(units) == 1 and now[-1].yardstick_kind == "cpu":
        old_ratios, new_ratios = known_ratios(what, before), known_ratios(what, now)
        if old_ratios and new_ratios:
            old, new = old_ratios, new_ratios
    apart = against_sessions(logarithms({"": old}), [math.log(value) for value in new])
    return noisy_verdict(held, apart, alpha, threshold, demoted or prior_note(apart))


def all_positive(*groups: Sequence[float]) -> bool:
    """Whether ratios can be had: a counter may be 0."""
    return all(value > 0 for group in groups for value in group)


def grown(held: Comparison, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Where a metric of the dry run or of the counters grew, or shrank."""
    if held.candidate < held.reference:
        return growth(held.metric, now, before, "shrunk", "-")
    return growth(held.metric, before, now) if held.candidate > held.reference else ""


def ledger_of(launches: Sequence[Launch | StoredLaunch]) -> Mapping[str, Any]:
    """The newest ledger among launches; empty where none has one."""
    return next((launch.ledger for launch in reversed(launches) if launch.ledger), {})


def prior_note(found: Difference | None) -> str:
    """Say where the interval rests on an assumption."""
    return "sessions are taken to differ by 2%" if found is not None and found.widened else ""


def invalid_verdicts(case: str, launches: Sequence[Launch]) -> list[Verdict]:
    """One verdict for each pass of which no launch may be used."""
    verdicts = []
    for pass_name in dict.fromkeys(launch.pass_name for launch in launches):
        group = [launch for launch in launches if launch.pass_name == pass_name]
        if all(launch.invalid for launch in group):
            name = PASS_METRIC.get(pass_name or "", "step_time_s")
            verdicts.append(Verdict(case, name, "invalid", launches=0, why=group[-1].invalid or ""))
    return verdicts


def having(launches: Iterable[Launch], name: str) -> list[Launch]:
    """The valid launches that measured a metric."""
    return [launch for launch in launches if not launch.invalid and name in launch.metrics]


def gated_values(launches: Sequence[Launch]) -> dict[str, list[float]]:
    """Values of the gated metrics of the valid launches, in the registry's order."""
    values = {name: [launch.value(name) for launch in having(launches, name)] for name, m in METRICS.items() if m.gated}
    return {name: found for name, found in values.items() if found}
