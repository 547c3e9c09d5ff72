"""Folds the verdicts of a run into one row a case: details for those that need attention, the rest by technique."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from perfgate.gate.wording import COULD_NOT_TELL, counted_as, in_short, many, promises, times
from perfgate.records.verdict import Verdict
from perfgate.reports.page.rows import ORDER, CaseRow
from perfgate.reports.tables import file_of
from perfgate.reports.update import named

if TYPE_CHECKING:
    import pandas as pd  # takes half a second, which the end of a run should not pay

QUIET = ("pass", "new")
SHARED = ("inconclusive", "invalid", "skipped", "none")  # cases with one of these verdicts and one reason are merged
UNNAMED = "it ended without a verdict"


@dataclass(frozen=True)
class Told:
    """A row for cases that need attention.

    Attributes:
        verdict: the word for its verdict.
        case: the id, or the number of cases that share a reason.
        lines: a line for each metric that moved, or the reason.
    """

    verdict: str
    case: str
    lines: tuple[str, ...]


def attention(rows: Sequence[CaseRow]) -> list[Told]:
    """The cases that did not simply pass, worst first; undecided cases with the same reason are one row."""
    shared: dict[tuple[str, str], list[CaseRow]] = {}
    for row in rows:
        if row.verdict in SHARED and not row.failed:
            shared.setdefault((row.verdict, reason(row)), []).append(row)
    told: list[Told] = []
    for row in rows:
        group = shared.get((row.verdict, reason(row)), []) if row.verdict in SHARED else []
        if len(group) > 1:
            if row is group[0]:
                ids = [found.case for found in group]
                told.append(Told(row.verdict, f"{many(len(ids), 'case')}: {named(ids)}", (reason(row),)))
        elif row.failed or row.verdict not in QUIET:
            told.append(Told(row.verdict, row.case, what_moved(row)))
    return told


def reason(row: CaseRow) -> str:
    """The reason why a case was not decided, without numbers that differ from case to case."""
    undecided = [verdict for verdict in row.verdicts if counted_as(verdict) in COULD_NOT_TELL]
    found = next((verdict.why for verdict in undecided if verdict.why), "")
    if not found and undecided:
        return "launches vary too much to tell"
    return found or first_line(row.message).removeprefix(f"{row.case} could not be measured: ") or UNNAMED


def what_moved(row: CaseRow) -> tuple[str, ...]:
    """A line for each metric of a case that did not simply pass, and the number of the others."""
    loud = [verdict for verdict in promises(row.verdicts) if counted_as(verdict) not in QUIET]
    if not loud:
        return (first_line(row.message) or UNNAMED,)
    names = {counted_as(verdict) for verdict in loud}
    lines = [
        in_short(verdict) if len(names) == 1 else f"{in_short(verdict)}: {counted_as(verdict)}" for verdict in loud
    ]
    rest = sum(counted_as(verdict) in QUIET for verdict in row.verdicts)
    return (*lines, *([f"{rest} other {'metric is' if rest == 1 else 'metrics are'} as before"] if rest else []))


def first_line(text: str) -> str:
    """The first line of a message."""
    return next(iter(text.splitlines()), "")


def by_technique(rows: Iterable[CaseRow]) -> dict[str, dict[str, int]]:
    """The number of cases by technique and verdict, the worst verdict first."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        counts = found.setdefault(technique_of(row), {})
        counts[row.verdict] = counts.get(row.verdict, 0) + 1
    return dict(sorted(found.items()))


def technique_of(row: CaseRow) -> str:
    """The folder and the technique of a case: ``training / batch_size``."""
    file = file_of(row.case)
    folder, _, name = file.rpartition("/")
    technique = row.technique or name.removesuffix(".py").removeprefix("test_")
    return f"{folder} / {technique}" if folder else technique


def promised(rows: Iterable[CaseRow]) -> list[Verdict]:
    """The verdicts on effects, worst first; several bounds on one metric are one promise."""
    found = [verdict for row in rows for verdict in promises(row.verdicts) if verdict.expected]
    return sorted(found, key=lambda verdict: ORDER.index(counted_as(verdict)))


def measured(verdict: Verdict) -> str:
    """The measured ratio of an effect, or the reason why there is none."""
    return times(verdict.change) if verdict.change is not None else verdict.why


def folded_tables(rows: Sequence[CaseRow]) -> "dict[str, pd.DataFrame]":
    """Tables for the terminal: what needs attention, the number of cases by technique, and effects."""
    import pandas as pd

    tables = {}
    if told := attention(rows):
        table = [{"verdict": row.verdict, "case, and what moved": "\n".join([row.case, *row.lines])} for row in told]
        tables["What needs attention"] = pd.DataFrame(table)
    if counts := by_technique(rows):
        words = [word for word in ORDER if any(word in found for found in counts.values())]
        tables["Cases by technique"] = pd.DataFrame(
            {"technique": name, **{word: str(found.get(word, "")) for word in words}} for name, found in counts.items()
        )
    effects: dict[str, list[Verdict]] = {}
    for verdict in promised(rows):
        if verdict.change is not None or verdict.verdict == "pass":
            effects.setdefault(verdict.case, []).append(verdict)
    if effects:
        tables["Effects: setting over vanilla"] = pd.DataFrame(
            {
                "verdict": min(map(counted_as, found), key=ORDER.index),
                "case, what it measured and what was promised": "\n".join([case, *map(in_short, found)]),
            }
            for case, found in effects.items()
        )
    return tables
