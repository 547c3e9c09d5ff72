"""Acceptances: regressions against a reference that somebody allowed beforehand, each up to a limit.

They come from ``--perf-accept CASE:METRIC:+12%`` and from trailers ``Perf-accept: CASE METRIC +12%: reason`` of the
commits since the reference. A lost dry run is accepted without an amount: ``CASE:dry_run``.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from typing import Any

from perfgate.gate.dry_run import DRY_RUN
from perfgate.gate.verdicts import ROUNDING
from perfgate.gate.wording import moved
from perfgate.records.verdict import Verdict
from perfgate.shared.errors import UserError
from perfgate.shared.metrics import check_gated
from perfgate.shared.parsing import read_until

OPTION = "--perf-accept"
TRAILER = "Perf-accept"
LIMIT = r"\+(?:\d+(?:\.\d+)?|\.\d+)%?"
OPTION_FORM = re.compile(rf"(?P<case>.+):(?P<metric>\w+?)(?::(?P<limit>{LIMIT}))?")
TRAILER_FORM = re.compile(
    rf"(?P<case>.+?)\s+(?P<metric>\w+)(?:\s+(?P<limit>{LIMIT}))?\s*:\s*(?P<reason>\S.*)", re.DOTALL
)
BEYOND = 1.5  # times the change: a proposed limit leaves at most this much room for noise


@dataclass(frozen=True)
class Acceptance:
    """One metric of one case that may get worse.

    Attributes:
        case: its id; ``*`` stands for any characters.
        metric: its name.
        limit: the largest change that is accepted: ``+12%``, or ``+2`` in the metric's unit, for one that was 0; empty
            for a lost dry run.
        source: who allowed it: ``--perf-accept``, or a commit.
        reason: why it is allowed; empty if nobody said so.
    """

    case: str
    metric: str
    limit: str
    source: str
    reason: str = ""

    def concerns(self, case: str) -> bool:
        """Whether the acceptance applies to a case."""
        return re.fullmatch(re.escape(self.case).replace(r"\*", ".*"), case, re.DOTALL) is not None

    def covers(self, verdict: Verdict) -> bool:
        """Whether the acceptance applies to the metric and case of this regression, whatever its size."""
        return can_be_accepted(verdict) and verdict.metric == self.metric and self.concerns(verdict.case)

    def reaches(self, verdict: Verdict) -> bool:
        """Whether a regression is at most as large as the limit."""
        if not self.limit:
            return True
        largest = float(self.limit.removesuffix("%"))
        if self.limit.endswith("%"):
            return bool(verdict.reference) and (verdict.change or 0.0) <= largest / 100 + ROUNDING
        return (verdict.candidate or 0.0) - (verdict.reference or 0.0) <= largest

    @property
    def until(self) -> str:
        """The day until which the regression is accepted; empty if for good."""
        return read_until(self.source, self.reason)

    @property
    def told(self) -> str:
        """A clause for messages: the limit, who accepted it, and why."""
        limit = f"up to {self.limit} " if self.limit else ""
        return f"{limit}by {self.source}{f': {self.reason}' if self.reason else ''}"


def can_be_accepted(verdict: Verdict) -> bool:
    """Whether a verdict is a regression against a reference; an effect must keep its promise."""
    return verdict.verdict == "regressed" and verdict.against == "reference" and not verdict.expected


def of_option(text: str, root: str = "") -> Acceptance:
    """Read ``CASE:METRIC:+12%``.

    Args:
        text: the option's value.
        root: the folder that ids of cases are relative to, which may stand before an id.

    Raises:
        UserError: the text has another form; the message has the text and the right form.
    """
    found = OPTION_FORM.fullmatch(text.strip())
    if not found:
        raise UserError(f"{OPTION} is {text!r}; it must be CASE:METRIC:+12%, with the largest change that is accepted")
    return checked(found, f"{OPTION} {text!r}", OPTION, root)


def of_trailer(text: str, commit: str, root: str = "") -> Acceptance:
    """Read ``CASE METRIC +12%: reason``.

    Args:
        text: the trailer's value.
        commit: the commit whose message holds the trailer.
        root: the folder that ids of cases are relative to, which may stand before an id.

    Raises:
        UserError: the text has another form; the message has the commit, the text and the right form.
    """
    where = f"commit {commit[:10]}"
    found = TRAILER_FORM.fullmatch(text.strip())
    if not found:
        raise UserError(f"{where}: {TRAILER} is {text!r}; it must be CASE METRIC +12%: REASON")
    return checked(found, f"{where}: {TRAILER} {text!r}", where, root)


def checked(found: re.Match[str], where: str, source: str, root: str) -> Acceptance:
    """Check an acceptance that was read: its metric must be gated, and it must have a limit where one is needed.

    Raises:
        UserError: no gated metric has this name, or the limit is missing.
    """
    case, name, limit = found["case"].removeprefix(f"{root}/"), found["metric"], found["limit"] or ""
    check_gated([name], where)
    if name != DRY_RUN and not limit:
        raise UserError(f"{where} names no largest change; write it behind the metric, like +12%")
    reason = " ".join((found.groupdict().get("reason") or "").split())
    read_until(where, reason)
    return Acceptance(case, name, "" if name == DRY_RUN else limit, source, reason)


def accept(verdict: Verdict, acceptances: Iterable[Acceptance]) -> Verdict:
    """Mark a regression that is accepted. If it is larger than its acceptance, the verdict's reason says so."""
    about = [acceptance for acceptance in acceptances if acceptance.covers(verdict)]
    if fitting := next((acceptance for acceptance in about if acceptance.reaches(verdict)), None):
        return replace(verdict, accepted=fitting.told)
    if about:
        more = f"more than was accepted {about[0].told}"
        return replace(verdict, why="; ".join(filter(None, [verdict.why, more])))
    return verdict


def accepted_lines(verdicts: Iterable[Verdict]) -> list[str]:
    """One sentence for each accepted regression."""
    return [
        f"Accepted {verdict.accepted} ({verdict.case}: {' '.join(filter(None, [verdict.metric, moved(verdict)]))})"
        for verdict in verdicts
        if verdict.accepted
    ]


def unused_lines(acceptances: Sequence[Acceptance], verdicts: Sequence[Verdict]) -> list[str]:
    """One sentence for each acceptance that matches no case of the run, or matches cases that did not get worse."""
    cases = list(dict.fromkeys(verdict.case for verdict in verdicts))
    lines = []
    for each in acceptances:
        if not any(map(each.concerns, cases)):
            close = get_close_matches(each.case, cases, 1)
            meant = f"; did you mean {close[0]}?" if close else ""
            lines.append(f"{each.source} accepts {each.metric} of {each.case}, which is no case of this run{meant}")
        elif not any(map(each.covers, verdicts)):
            lines.append(f"{each.source} accepts {each.metric} of {each.case}, which did not get worse")
    return lines


def remedy(worse: Sequence[Verdict]) -> str:
    """The end of a message that says how to accept these regressions; empty if none of them can be accepted."""
    found = [(verdict, proposed(verdict)) for verdict in worse if can_be_accepted(verdict)]
    if not found:
        return ""
    trailers = [f"    {TRAILER}: {v.case} {' '.join(filter(None, [v.metric, limit]))}: WHY" for v, limit in found]
    first, limit = found[0]
    option = f"{OPTION} '{':'.join(filter(None, [first.case, first.metric, limit]))}'"
    head = f"\nIf it is intended, accept it with {option}, or in the last lines of a commit's message:"
    return "\n".join([head, *trailers])


def proposed(verdict: Verdict) -> str:
    """A limit for a regression, with enough room that the same regression measured again stays below it."""
    if verdict.metric == DRY_RUN:
        return ""
    change = verdict.change or 0.0
    if not verdict.reference:
        return f"+{math.ceil(verdict.candidate or 0.0)}"
    again = max(change, min(verdict.high or change, BEYOND * change))
    return f"+{math.ceil(1000 * (again - ROUNDING)) / 10:.1f}".removesuffix(".0") + "%"


def to_json(acceptances: Iterable[Acceptance]) -> list[dict[str, str]]:
    """The value for the first line of a run file."""
    return [asdict(acceptance) for acceptance in acceptances]


def from_json(found: object) -> list[Acceptance]:
    """Read the value that ``to_json`` wrote; entries that are no acceptance are left out."""
    rows: list[Any] = found if isinstance(found, list) else []
    return [Acceptance(**{key: str(row[key]) for key in KEYS}) for row in rows if is_row(row)]


KEYS = tuple(Acceptance.__dataclass_fields__)


def is_row(row: object) -> bool:
    """Whether a JSON value holds an acceptance."""
    return isinstance(row, Mapping) and set(KEYS) <= set(row)
