"""Values of a metric from the launches of one side, and the checks that come before any statistics."""

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

AGAIN = 3  # how often a launch is tried that the machine may have disturbed
DISAGREE = "its launches do not agree"
TUNED = "the compiler chooses its kernels by their times"


def having(launches: Iterable[Launch], name: str) -> list[Launch]:
    """The valid launches that measured a metric. A gated metric counts only in its own pass."""
    return [launch for launch in launches if not launch.invalid and launch.measured(name)]


def gated_values(launches: Sequence[Launch]) -> dict[str, list[float]]:
    """The values of the gated metrics in valid launches, in the registry's order."""
    values = {name: [launch.value(name) for launch in having(launches, name)] for name, m in METRICS.items() if m.gated}
    return {name: found for name, found in values.items() if found}


def ratios_to_yardstick(what: Metric, launches: Sequence[Launch]) -> list[float] | None:
    """Each launch's ratio to its yardstick; ``None`` if a launch has no yardstick, or the metric is not noisy."""
    found = [launch.in_yardsticks(what.name) for launch in launches]
    ratios = [ratio for ratio in found if ratio is not None]
    return ratios if what.noisy and len(ratios) == len(found) else None


def invalid_verdicts(case: str, launches: Sequence[Launch]) -> list[Verdict]:
    """One verdict for each pass in which no launch is valid."""
    verdicts = []
    for pass_name in dict.fromkeys(launch.pass_name for launch in launches):
        group = [launch for launch in launches if launch.pass_name == pass_name]
        if all(launch.invalid for launch in group):
            verdicts.append(Verdict(case, stands_for(pass_name), "invalid", launches=0, why=group[-1].invalid or ""))
    return verdicts


def ever_slower(launches: Sequence[Launch]) -> bool:
    """Whether the candidate's steps became slower and slower in each of its timed launches, so the program is to blame.

    If the machine became slower, the yardstick's steps or those of the other side would have become slower too.
    """
    timed = [launch.invalid or "" for launch in launches if launch.pass_name == "time" and launch.side == "candidate"]
    return len(timed) >= AGAIN and all(reason.startswith(EVER_SLOWER) for reason in timed)


def new_verdict(case: str, name: str, values: Sequence[float]) -> Verdict:
    """The verdict on a metric that has nothing to be compared with."""
    return Verdict(case, name, "new", candidate=statistics.median(values), launches=len(values))


def otherwise_verdict(case: str, name: str, values: Sequence[float], what: str) -> Verdict:
    """The verdict on a metric that was measured in another way then; ``what`` names the side that was not compared."""
    since = metric(name).way_since or "an earlier one"
    why = f"Perfgate measures this metric differently since version {since}, so {what} was not compared"
    return replace(new_verdict(case, name, values), why=why, way_since=since)


def exact_if_repeated(
    held: Comparison,
    groups: Iterable[Sequence[float]],
    before: Sequence[Launch | StoredLaunch],
    now: Sequence[Launch],
) -> Verdict | None:
    """Judge a metric as exact if it repeated itself; ``None`` if it did not and must be judged as noisy.

    Args:
        held: the two values to compare.
        groups: the values that must be equal within each group: those of each stored session, and those of now.
        before: launches of the reference, whose ledger names the modules.
        now: launches of the candidate.
    """
    found = list(groups)
    if reason := without_rules(held.metric, before, now):
        return held.verdict("inconclusive", reason)
    varies = tuned(held.metric, now) and not agree([value for values in found for value in values])
    if all(map(agree, found)) and not varies:
        return exact_verdict(held, grown(held, *(ledger_of(side, held.metric) for side in (before, now))))
    # A counter of 0 allows no ratio.
    if any(value <= 0 for values in found for value in values):
        return held.verdict("inconclusive", why_it_varies(held.metric, now))
    return None


def tuned(name: str, launches: Sequence[Launch]) -> bool:
    """Whether a metric depends on kernels that were chosen by their speed, so that it may not repeat itself."""
    return metric(name).of_kernels and any(launch.details.findings.tuned for launch in launches)


def why_it_varies(name: str, launches: Sequence[Launch]) -> str:
    """The reason why an exact metric did not repeat itself, as a clause."""
    return TUNED if tuned(name, launches) else DISAGREE


def without_rules(name: str, before: Sequence[Launch | StoredLaunch], now: Sequence[Launch]) -> str:
    """The reason why a predicted metric cannot be compared: a side's dry run has no rules for its version of torch."""
    told = (ledger_of(side, name).get("without_rules", {}).get(name, "") for side in (now, before))
    return next(filter(None, told), "")


def grown(held: Comparison, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """A clause on the modules in which a metric of the dry run or of the counters grew, or shrank."""
    if held.candidate < held.reference:
        return growth(held.metric, now, before, "shrunk", "-")
    if held.candidate <= held.reference:
        return ""
    return "; ".join(filter(None, [growth(held.metric, before, now), new_tensor(held.metric, before, now)]))


def ledger_of(launches: Sequence[Launch | StoredLaunch], name: str) -> Mapping[str, Any]:
    """The newest ledger that has a table for a metric, or else the newest ledger; empty if there is none.

    Each pass has its own ledger, so the newest one may hold other metrics.
    """
    held = metric(name).cells
    ledgers = [launch.ledger for launch in reversed(launches) if launch.ledger]
    return next((ledger for ledger in ledgers if held and held.table in ledger), next(iter(ledgers), {}))


def prior_of(what: Metric) -> float:
    """The assumed standard deviation between sessions for a metric, until sessions show it."""
    return SESSION_PRIOR if what.prior is None else what.prior


def prior_note(what: Metric, found: Difference | None) -> str:
    """A remark if the interval rests mostly on an assumption about sessions."""
    return f"sessions are taken to differ by {prior_of(what):.0%}" if found is not None and found.widened else ""
