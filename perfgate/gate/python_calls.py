"""Verdicts on Python's calls: a count that holds for one version of Python and one kind of device."""

from collections.abc import Sequence
from dataclasses import replace

from perfgate.records.baselines import Baseline
from perfgate.records.launch import Launch
from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import PYTHON_CALLS, metric


def uncounted(case: str, launches: Sequence[Launch]) -> list[Verdict]:
    """The verdict on a count that cannot be used; empty if the count can be used, or none was taken."""
    for launch in launches:
        if not launch.invalid and (why := launch.details.findings.uncounted):
            return [Verdict(case, PYTHON_CALLS, "inconclusive", launches=1, why=why)]
    return []


def unlike(case: str, name: str, before: Sequence[Launch], now: Sequence[Launch]) -> Verdict | None:
    """The verdict on a metric that both sides counted under different Pythons; ``None`` if they can be compared."""
    old, new = under(before), under(now)
    if not metric(name).of_python or old == new:
        return None
    value, reference = (side[-1].value(name) for side in (now, before))
    why = f"counted under {new}, and in the reference under {old}, which runs other code of its own"
    return Verdict(case, name, "inconclusive", reference=reference, candidate=value, launches=len(now), why=why)


def under(launches: Sequence[Launch]) -> str:
    """The Python and device of the launches' counts, as in ``Python 3.11 on cpu``; empty if nothing was counted."""
    return next((found for launch in launches if (found := launch.details.findings.counted_under)), "")


def beside_others(verdicts: Sequence[Verdict], stored: Baseline | None) -> list[Verdict]:
    """Add to each new count for which other Pythons one is stored."""
    others = {launch.device for launch in stored.launches if PYTHON_CALLS in launch.metrics} if stored else set()
    why = f"stored for {', '.join(sorted(others))} alone" if others else ""
    return [replace(found, why=why) if of_another_python(found) else found for found in verdicts]


def of_another_python(verdict: Verdict) -> bool:
    """Whether a count is new because nothing is stored under this Python."""
    return metric(verdict.metric).of_python and verdict.verdict == "new" and not verdict.way_since
