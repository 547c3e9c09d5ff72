"""Puts verdicts into words: a sentence for one, a summary of many."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from perfgate.records.verdict import Verdict
from perfgate.shared.metrics import metric

WORDS = {
    "pass": "is as before",
    "regressed": "got worse by",
    "improved": "got better,",
    "inconclusive": "is undecided",
    "invalid": "is invalid",
    "new": "is new",
    "stale": "is stale",
}
UNTOLD = "the median does not tell that"  # the beginning of a clause on a few slow steps among unchanged ones
PROPERTY = "verdict."  # the beginning of the test properties that hold verdicts, one for each metric
FAILING = ("regressed", "stale")  # verdicts that fail a case and name what got worse
COULD_NOT_TELL = frozenset({"inconclusive", "invalid"})  # measured, but not decided
UNDECIDED = COULD_NOT_TELL | {"new"}
REFERENCE_UNABLE = "the reference cannot run it"  # the beginning of the reason why a case is new beside a reference
REFERENCE_NOT_DRY = f"{REFERENCE_UNABLE} dry"  # ... and why all of its exact metrics are new


def sentence(verdict: Verdict) -> str:
    """A sentence about one verdict."""
    if verdict.expected:
        return effect_sentence(verdict)
    if verdict.metric == "dry_run" and verdict.verdict == "regressed":
        lost = " ".join(filter(None, ["dry_run is lost", since(verdict)]))
        return f"{verdict.case}: {lost}, and with it all exact metrics ({verdict.why})"
    word = WORDS[verdict.verdict]
    if verdict.reference == 0 and verdict.verdict == "regressed":
        word = word.removesuffix(" by")
    text = " ".join(filter(None, [f"{verdict.case}: {verdict.metric} {word}", moved(verdict), since(verdict)]))
    accepted = f"accepted {verdict.accepted}" if verdict.accepted else ""
    details = "; ".join(filter(None, [both_values(verdict), interval(verdict), verdict.why, accepted]))
    return f"{text} ({details})" if details else text


def effect_sentence(verdict: Verdict) -> str:
    """A sentence about one effect's verdict: the measured ratio of setting to vanilla, and the expected one."""
    text = f"{verdict.case}: {verdict.metric} {WORDS[verdict.verdict] if verdict.change is None else ''}".rstrip()
    if verdict.change is None and verdict.verdict in ("pass", "regressed"):
        return f"{verdict.case}: {verdict.metric}: {verdict.why}, expected {verdict.expected}"
    if verdict.change is not None:
        undecided = "may be" if verdict.verdict == "inconclusive" else "is"
        text = f"{text} {undecided} {times(verdict.change)} {verdict.against}'s"
    bounds = ""
    if verdict.low is not None and verdict.high is not None and verdict.low != verdict.high:
        bounds = f"interval {times(verdict.low)} to {times(verdict.high)}"
    details = "; ".join(filter(None, [both_values(verdict), bounds, verdict.why]))
    return f"{text}, expected {verdict.expected}{f' ({details})' if details else ''}"


def times(change: float) -> str:
    """A relative change as a factor, such as ``1.5x``."""
    return f"{1 + change:.3g}x"


def both_values(verdict: Verdict) -> str:
    """The measured value and the reference's."""
    if verdict.candidate is None or verdict.reference is None:
        return ""
    what = metric(verdict.metric)
    return f"{what.show(verdict.candidate)}, {verdict.against} {what.show(verdict.reference)}"


def since(verdict: Verdict) -> str:
    """A clause with the reference's library versions; empty if they are the same."""
    return f"since {verdict.since}" if verdict.since else ""


def moved(verdict: Verdict) -> str:
    """The change in percent or as a factor; empty if there is none, or the reference is 0."""
    if verdict.change is None or verdict.reference == 0:
        return ""
    found = percent(verdict.change)
    share = " of a step" if metric(verdict.metric).beside else ""
    return f"{'to ' if found.startswith('1/') else ''}{found}{share}"


def interval(verdict: Verdict) -> str:
    """The interval, the tolerance and the smallest change that could have been shown."""
    if verdict.tolerance is None or verdict.smallest_detectable is None:
        return ""
    if verdict.low is None or verdict.high is None or verdict.low == verdict.high:
        return f"tolerance {verdict.tolerance:.1%}"
    return "; ".join(filter(None, [f"interval {percent(verdict.low)} to {percent(verdict.high)}", sight(verdict)]))


def sight(verdict: Verdict) -> str:
    """Say which change this measurement could detect; empty if the change itself was shown."""
    if verdict.smallest_detectable is None or verdict.tolerance is None or verdict.verdict in ("regressed", "improved"):
        return ""
    seen = can_see(verdict.smallest_detectable)
    if verdict.smallest_detectable > verdict.tolerance:
        return f"this gate cannot see {verdict.tolerance:.1%} here; it can see {seen}"
    return f"this gate can see {seen}"


def can_see(smallest: float) -> str:
    """The smallest change that could have been shown, in words; ``next to nothing`` if that is 100% or more."""
    return percent(smallest, "") if smallest < BLIND else "next to nothing"


BLIND = 1.0
TEN_FOLD = 9.995


def percent(change: float, sign: str = "+") -> str:
    """A relative change in percent with just enough digits; as a factor from tenfold or a tenth on."""
    if change > TEN_FOLD:
        return f"{change + 1:.0f}-fold" if change < 1e6 else "beyond measure"
    if -1 < change < 1 / (1 + TEN_FOLD) - 1:
        return f"1/{1 / (1 + change):.0f}"
    return f"{change:{sign}.1%}" if abs(change) >= 0.0095 else f"{change:{sign}.2%}"


def counted_as(verdict: Verdict) -> str:
    """The word under which a verdict is counted and shown.

    A metric that is new only because Perfgate measures it differently counts as inconclusive: its stored value could
    not be compared.
    """
    return "accepted" if verdict.accepted else "inconclusive" if verdict.way_since else verdict.verdict


def summarize(verdicts: Sequence[Verdict]) -> dict[str, int]:
    """The number of verdicts of each kind, worst first, without kinds that do not occur."""
    order = ("regressed", "accepted", "stale", "invalid", "inconclusive", "new", "improved", "pass")
    counts = Counter(map(counted_as, verdicts))
    return {name: counts[name] for name in order if counts[name]}


def together(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Collapse each case's exact metrics that pass, or are new, into one summary verdict.

    A verdict with a remark of its own, such as a difference from another pair of versions or an effect's ratio, stays
    separate. Both bounds of an effect on one metric are one promise.
    """
    verdicts = promises(verdicts)
    groups: dict[tuple[str, str, str], list[Verdict]] = {}
    for verdict in verdicts:
        quiet = verdict.verdict in ("pass", "new") and not verdict.why and not verdict.expected
        if quiet and metric(verdict.metric).exact:
            groups.setdefault((verdict.case, verdict.verdict, verdict.since), []).append(verdict)
    told: list[Verdict] = []
    for verdict in verdicts:
        group = groups.get((verdict.case, verdict.verdict, verdict.since), [])
        if verdict not in group or len(group) == 1:
            told.append(verdict)
        elif verdict is group[-1]:
            name = f"{len(group)} exact metrics"
            told.append(Verdict(verdict.case, name, verdict.verdict, launches=1, since=verdict.since))
    return told


def telling_first(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """The verdicts, host syncs first: they name a line of code, and each is also counted as an operator call."""
    return sorted(verdicts, key=lambda verdict: not metric(verdict.metric).each_counts)


def promises(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Merge the verdicts on several bounds of one metric into one: ``> 0.4x and < 0.6x``."""
    told: dict[tuple[object, ...], Verdict] = {}
    for number, verdict in enumerate(verdicts):
        same = (verdict.case, verdict.metric, verdict.verdict, verdict.change, verdict.why)
        key = same if verdict.expected else (number,)
        before = told.get(key)
        told[key] = replace(before, expected=f"{before.expected} and {verdict.expected}") if before else verdict
    return list(told.values())


def promised_and_measured(verdict: Verdict) -> str:
    """An effect's measured ratio and its promise: ``0.36x of vanilla's, promised < 0.7x``."""
    measured = f"{times(verdict.change)} of {verdict.against}'s" if verdict.change is not None else verdict.why
    return ", ".join(filter(None, [measured, f"promised {verdict.expected}"]))


def in_short(verdict: Verdict) -> str:
    """A verdict without its case, for lists: the change, both values, and the interval."""
    if verdict.expected:
        return f"{verdict.metric}{' ' if verdict.change is not None else ': '}{promised_and_measured(verdict)}"
    if verdict.metric == "dry_run":
        return verdict.why
    values = ""
    if verdict.candidate is not None:
        what = metric(verdict.metric)
        before = f"{what.show(verdict.reference)} to " if verdict.reference is not None else ""
        values = f"{before}{what.show(verdict.candidate)}"
    details = "; ".join(filter(None, [values, interval(verdict), verdict.why, verdict.accepted]))
    return " ".join(filter(None, [verdict.metric, moved(verdict), since(verdict), f"({details})" if details else ""]))


def many(count: int, noun: str) -> str:
    """A number with its noun."""
    return f"{count:,} {plural(count, noun)}"


def plural(count: int, noun: str) -> str:
    """A noun after a number."""
    return noun if count == 1 else f"{noun}s"


def are(count: int) -> str:
    """The verb after a number."""
    return "is" if count == 1 else "are"
