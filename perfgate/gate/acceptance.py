"""Acceptances: what may get worse against a reference, because somebody said so beforehand, and by how much at most.

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
BEYOND = 1.5  # times the change: the most that a proposed limit leaves for noise


@dataclass(frozen=True)
class Acceptance:
    """One metric of one case that may get worse.

    Attributes:
        case: its id; ``*`` stands for any characters.
        metric: its name.
        limit: the largest change that is accepted: ``+12%``, or ``+2`` in the metric's unit, for one that was 0; empty
            for a lost dry run.
        source: where it was said: ``--perf-accept``, or a commit.
        reason: why, as far as it was said.
    """

    case: str
    metric: str
    limit: str
    source: str
    reason: str = ""

    def concerns(self, case: str) -> bool:
        """Whether it is about a case."""
        return re.fullmatch(re.escape(self.case).replace(r"\*", ".*"), case, re.DOTALL) is not None

    def covers(self, verdict: Verdict) -> bool:
        """Whether it is about this regression, whatever its size."""
        return can_be_accepted(verdict) and verdict.metric == self.metric and self.concerns(verdict.case)

    def reaches(self, verdict: Verdict) -> bool:
        """Whether a regression is no larger than what is accepted."""
        if not self.limit:
            return True
        largest = float(self.limit.removesuffix("%"))
        if self.limit.endswith("%"):
            return bool(verdict.reference) and (verdict.change or 0.0) <= largest / 100 + ROUNDING
        return (verdict.candidate or 0.0) - (verdict.reference or 0.0) <= largest

    @property
    def until(self) -> str:
        """The day until which it is accepted; empty if for good."""
        return read_until(self.source, self.reason)

    @property
    def told(self) -> str:
        """What is accepted, by whom and why, as a clause."""
        limit = f"up to {self.limit} " if self.limit else ""
        return f"{limit}by {self.source}{f': {self.reason}' if self.reason else ''}"


def can_be_accepted(verdict: Verdict) -> bool:
    """Whether a verdict is a regression against a reference; an effect must keep its promise."""
    return verdict.verdict == "regressed" and verdict.against == "reference" and not verdict.expected


def of_option(text: str, root: str = "") -> Acceptance:
    """Read ``CASE:METRIC:+12%``.

    Args:
        text: as it was given.
        root: the folder that ids of cases are relative to, which may stand before an id.

    Raises:
        UserError: naming the text, and what it must look like.
    """
    found = OPTION_FORM.fullmatch(text.strip())
    if not found:
        raise UserError(f"{OPTION} is {text!r}; it must be CASE:METRIC:+12%, with the largest change that is accepted")
    return checked(found, f"{OPTION} {text!r}", OPTION, root)


def of_trailer(text: str, commit: str, root: str = "") -> Acceptance:
    """Read ``CASE METRIC +12%: reason``.

    Args:
        text: the trailer's value.
        commit: that it stands in.
        root: the folder that ids of cases are relative to, which may stand before an id.

    Raises:
        UserError: naming the commit, the text, and what it must look like.
    """
    where = f"commit {commit[:10]}"
    found = TRAILER_FORM.fullmatch(text.strip())
    if not found:
        raise UserError(f"{where}: {TRAILER} is {text!r}; it must be CASE METRIC +12%: REASON")
    return checked(found, f"{where}: {TRAILER} {text!r}", where, root)


def checked(found: re.Match[str], where: str, source: str, root: str) -> Acceptance:
    """The acceptance that was read, if it can be one.

    Raises:
        UserError: no such metric is gated, or no largest change is named where there must be one.
    """
    case, name, limit = found["case"].removeprefix(f"{root}/"), found["metric"], found["limit"] or ""
    check_gated([name], where)
    if name != DRY_RUN and not limit:
        raise UserError(f"{where} names no largest change; write it behind the metric, like +12%")
    reason = " ".join((found.groupdict().get("reason") or "").split())
    read_until(where, reason)
    return Acceptance(case, name, "" if name == DRY_RUN else limit, source, reason)


def accept(verdict: Verdict, acceptances: Iterable[Acceptance]) -> Verdict:
    """The same verdict, marked if it is accepted; one that is larger than what is accepted says so."""
    about = [acceptance for acceptance in acceptances if acceptance.covers(verdict)]
    if fitting := next((acceptance for acceptance in about if acceptance.reaches(verdict)), None):
        return replace(verdict, accepted=fitting.told)
    if about:
        more = f"more than was accepted {about[0].told}"
        return replace(verdict, why="; ".join(filter(None, [verdict.why, more])))
    return verdict


def accepted_lines(verdicts: Iterable[Verdict]) -> list[str]:
    """A sentence for each regression that is accepted."""
    return [
        f"Accepted {verdict.accepted} ({verdict.case}: {' '.join(filter(None, [verdict.metric, moved(verdict)]))})"
        for verdict in verdicts
        if verdict.accepted
    ]


def unused_lines(acceptances: Sequence[Acceptance], verdicts: Sequence[Verdict]) -> list[str]:
    """A sentence for each acceptance that matches no case of the run, or nothing that got worse."""
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
    """How regressions against a reference are accepted, as a last part of a message; empty for others."""
    found = [(verdict, proposed(verdict)) for verdict in worse if can_be_accepted(verdict)]
    if not found:
        return ""
    trailers = [f"    {TRAILER}: {v.case} {' '.join(filter(None, [v.metric, limit]))}: WHY" for v, limit in found]
    first, limit = found[0]
    option = f"{OPTION} '{':'.join(filter(None, [first.case, first.metric, limit]))}'"
    head = f"\nIf it is intended, accept it with {option}, or in the last lines of a commit's message:"
    return "\n".join([head, *trailers])


def proposed(verdict: Verdict) -> str:
    """A limit that a regression keeps to, and would keep to if it were measured again."""
    if verdict.metric == DRY_RUN:
        return ""
    change = verdict.change or 0.0
    if not verdict.reference:
        return f"+{math.ceil(verdict.candidate or 0.0)}"
    again = max(change, min(verdict.high or change, BEYOND * change))
    return f"+{math.ceil(1000 * (again - ROUNDING)) / 10:.1f}".removesuffix(".0") + "%"


def to_json(acceptances: Iterable[Acceptance]) -> list[dict[str, str]]:
    """What the first line of a run file holds."""
    return [asdict(acceptance) for acceptance in acceptances]


def from_json(found: object) -> list[Acceptance]:
    """Read what ``to_json`` wrote; what is no acceptance is left out."""
    rows: list[Any] = found if isinstance(found, list) else []
    return [Acceptance(**{key: str(row[key]) for key in KEYS}) for row in rows if is_row(row)]


KEYS = tuple(Acceptance.__dataclass_fields__)


def is_row(row: object) -> bool:
    """Whether it holds an acceptance."""
    return isinstance(row, Mapping) and set(KEYS) <= set(row)
