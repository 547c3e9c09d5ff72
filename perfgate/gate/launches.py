"""Values of a metric out of the launches of one side, and what can be said of them before any statistics."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from perfgate.gate.attribution import growth, new_tensor
from perfgate.gate.statistics import SESSION_PRIOR, Difference
from perfgate.gate.verdicts import Comparison, agree, exact_verdict
from perfgate.records.baselines import StoredLaunch
from perfgate.records.launch import EVER_SLOWER, Launch
from perfgate.records.verdict import Verdict
from perfgate.shared.metric import Metric
from perfgate.shared.metrics import METRICS, metric, stands_for

AGAIN = 3  # so often is a launch tried that the machine may have disturbed
DISAGREE = "its launches do not agree"
TUNED = "the compiler chooses its kernels by their times"


def having(launches: Iterable[Launch], name: str) -> list[Launch]:
    """The valid launches that measured a metric; of a gated one, in the pass that brings it."""
    return [launch for launch in launches if not launch.invalid and launch.measured(name)]


def gated_values(launches: Sequence[Launch]) -> dict[str, list[float]]:
    """Values of the gated metrics of the valid launches, in the registry's order."""
    values = {name: [launch.value(name) for launch in having(launches, name)] for name, m in METRICS.items() if m.gated}
    return {name: found for name, found in values.items() if found}


def ratios_to_yardstick(what: Metric, launches: Sequence[Launch]) -> list[float] | None:
    """Each launch's ratio to its yardstick; ``None`` where one had none, or the metric does not vary."""
    found = [launch.in_yardsticks(what.name) for launch in launches]
    ratios = [ratio for ratio in found if ratio is not None]
    return ratios if what.noisy and len(ratios) == len(found) else None


def invalid_verdicts(case: str, launches: Sequence[Launch]) -> list[Verdict]:
    """One verdict for each pass of which no launch may be used."""
    verdicts = []
    for pass_name in dict.fromkeys(launch.pass_name for launch in launches):
        group = [launch for launch in launches if launch.pass_name == pass_name]
        if all(launch.invalid for launch in group):
            verdicts.append(Verdict(case, stands_for(pass_name), "invalid", launches=0, why=group[-1].invalid or ""))
    return verdicts


def ever_slower(launches: Sequence[Launch]) -> bool:
    """Whether the candidate's steps became slower and slower in each of its timed launches, which no machine does.

    A machine that becomes slower meanwhile is seen in the yardstick's steps, or in those of the other side, as well.
    """
    timed = [launch.invalid or "" for launch in launches if launch.pass_name == "time" and launch.side == "candidate"]
    return len(timed) >= AGAIN and all(reason.startswith(EVER_SLOWER) for reason in timed)


def new_verdict(case: str, name: str, values: Sequence[float]) -> Verdict:
    """The verdict on a metric that there is nothing to hold against."""
    return Verdict(case, name, "new", candidate=statistics.median(values), launches=len(values))


def otherwise_verdict(case: str, name: str, values: Sequence[float], what: str) -> Verdict:
    """The verdict on a metric that was measured in another way then; ``what`` names what was not compared."""
    since = metric(name).way_since or "an earlier one"
    why = f"Perfgate measures this metric differently since version {since}, so {what} was not compared"
    return replace(new_verdict(case, name, values), why=why, way_since=since)


def exact_if_repeated(
    held: Comparison,
    groups: Iterable[Sequence[float]],
    before: Sequence[Launch | StoredLaunch],
    now: Sequence[Launch],
) -> Verdict | None:
    """Judge a metric that should repeat itself; ``None`` where it does not, and is to be judged as one that varies.

    Args:
        held: what is held against what.
        groups: the values that must be equal within each group: those of each stored session, and those of now.
        before: launches of the reference, whose ledger tells which module did what.
        now: launches of the candidate.
    """
    found = list(groups)
    if reason := without_rules(held.metric, before, now):
        return held.verdict("inconclusive", reason)
    varies = tuned(held.metric, now) and not agree([value for values in found for value in values])
    if all(map(agree, found)) and not varies:
        return exact_verdict(held, grown(held, *(ledger_of(side, held.metric) for side in (before, now))))
    # A counter may be 0, and then there is no ratio to judge.
    if any(value <= 0 for values in found for value in values):
        return held.verdict("inconclusive", why_it_varies(held.metric, now))
    return None


def tuned(name: str, launches: Sequence[Launch]) -> bool:
    """Whether a metric depends on kernels that were chosen by their times, so that it need not repeat itself."""
    return metric(name).of_kernels and any(launch.details.findings.tuned for launch in launches)


def why_it_varies(name: str, launches: Sequence[Launch]) -> str:
    """Why a metric that should repeat itself does not, as a clause."""
    return TUNED if tuned(name, launches) else DISAGREE


def without_rules(name: str, before: Sequence[Launch | StoredLaunch], now: Sequence[Launch]) -> str:
    """Why a prediction says nothing of the code: a side's dry run has no rules for its version of torch."""
    told = (ledger_of(side, name).get("without_rules", {}).get(name, "") for side in (now, before))
    return next(filter(None, told), "")


def grown(held: Comparison, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The modules in which a metric of the dry run or of the counters grew, or shrank, as a clause."""
    if held.candidate < held.reference:
        return growth(held.metric, now, before, "shrunk", "-")
    if held.candidate <= held.reference:
        return ""
    return "; ".join(filter(None, [growth(held.metric, before, now), new_tensor(held.metric, before, now)]))


def ledger_of(launches: Sequence[Launch | StoredLaunch], name: str) -> Mapping[str, Any]:
    """The newest ledger among launches, of those that tell of a metric if any does; empty where none has one.

    Each pass has a ledger of its own, so the newest of all may be about other metrics.
    """
    held = metric(name).cells
    ledgers = [launch.ledger for launch in reversed(launches) if launch.ledger]
    return next((ledger for ledger in ledgers if held and held.table in ledger), next(iter(ledgers), {}))


def prior_of(what: Metric) -> float:
    """By how much sessions are taken to differ in a metric before they have shown it."""
    return SESSION_PRIOR if what.prior is None else what.prior


def prior_note(what: Metric, found: Difference | None) -> str:
    """Say where the interval rests on an assumption about sessions."""
    return f"sessions are taken to differ by {prior_of(what):.0%}" if found is not None and found.widened else ""
