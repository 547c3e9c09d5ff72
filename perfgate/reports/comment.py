"""The comment on a pull request: at most sixty lines, in which foreign names are plain text without effect."""

import re
from collections.abc import Sequence
from urllib.parse import quote

import pandas as pd

from perfgate.gate.wording import UNDECIDED, counted_as, many, moved, summarize
from perfgate.records.untrusted import Untrusted
from perfgate.records.verdict import Verdict
from perfgate.reports.bar import bar_lines
from perfgate.reports.digest import Safe
from perfgate.reports.formats import markdown
from perfgate.reports.report import Report, Section
from perfgate.reports.tables import ORDER, shown
from perfgate.shared.metrics import METRICS

MARKER = "<!-- perfgate -->"  # the comment is found again by this line
MOST_LINES = 60
MOST_ROWS = 30
NOT_TEXT = re.compile(r"[^\x20-\x7e]+")
SHOWN = ("regressed", "stale", "invalid", "inconclusive", "improved")


def comment(found: Untrusted, link: str, commit: str, bar: Sequence[str] = ()) -> str:
    """The text of the comment.

    Args:
        found: the verdicts.
        link: the URL of the run or its page; empty if there is none.
        commit: the measured commit; empty if not known.
        bar: the names of changed files that move the bar.
    """
    judged = sorted(found.verdicts, key=lambda verdict: ORDER.index(verdict.verdict))
    worth = [verdict for verdict in judged if verdict.verdict in SHOWN]
    lines = [*(f"**{line}.**" for line in bar_lines(bar, code)), headline(found)]
    lines.append(", ".join(f"{count} {name}" for name, count in summarize(judged).items()))
    rows = [row(verdict) for verdict in worth[:MOST_ROWS]]
    # pandas would lose which cells are already markdown.
    tables = {"": pd.DataFrame(rows, dtype=object).dropna(axis="columns", how="all")} if rows else {}
    notes = [f"... and {len(worth) - MOST_ROWS} more rows in the report."] if len(worth) > MOST_ROWS else []
    notes += [footer(link, commit)]
    text = markdown(Report([Section("Performance", list(filter(None, lines)), tables, notes)], pd.DataFrame(rows), {}))
    return cut(f"{MARKER}\n{text}", footer(link, commit))


def refusal(sentence: str, link: str, commit: str) -> str:
    """The comment if the results cannot be used: an older comment must not look as if it were about this commit.

    Args:
        sentence: the reason, in Perfgate's own words only.
        link: the URL of the run; empty if there is none.
        commit: the measured commit.
    """
    return f"{MARKER}\n## Performance\n\nNothing is known of this commit: {sentence}.\n\n{footer(link, commit)}\n"


def headline(found: Untrusted) -> str:
    """One sentence with the overall verdict."""
    names = [counted_as(verdict) for verdict in found.verdicts]
    worse = sum(name in ("regressed", "stale") for name in names)
    parts = [f"{worse} {'metric' if worse == 1 else 'metrics'} got worse"] if worse else []
    parts += (
        [f"{found.failed} {'case' if found.failed == 1 else 'cases'} failed before a verdict"] if found.failed else []
    )
    parts += [f"{found.missing} {'shard is' if found.missing == 1 else 'shards are'} missing"] if found.missing else []
    parts += [f"{many(found.stopped, 'run')} stopped before the last case"] if found.stopped else []
    if parts:
        return f"**{', '.join(parts)}.**"
    if not set(names) - UNDECIDED:
        return "**Nothing was decided.**"
    return "**Nothing got worse.**"


def row(verdict: Verdict) -> dict[str, str | None]:
    """A row of the table."""
    name = verdict.metric
    return {
        "verdict": counted_as(verdict),
        "case": code(verdict.case),
        "metric": name if name in METRICS else code(name),
        "now": shown(name, verdict.candidate) if name in METRICS else None,
        "before": shown(name, verdict.reference) if name in METRICS else None,
        "change": moved(verdict) or None,
    }


def code(text: str) -> Safe:
    """Foreign text in a code span that it cannot leave: without markup, mentions, links or line ends."""
    plain = NOT_TEXT.sub("?", text).replace("`", "'").replace("<", "(").replace(">", ")").replace("|", "/")
    return Safe(f"`{plain.strip() or '?'}`")


def footer(link: str, commit: str) -> str:
    """The last line: a link to the run, and whose numbers these are."""
    at = f"of {commit[:10]} " if commit else ""
    where = f" [The run]({quote(link, safe=':/?&=#%~')})." if link else ""
    return f"Numbers {at}as the branch's own code measured them; the check decides.{where}"


def cut(text: str, last: str) -> str:
    """At most the allowed number of lines, with the footer last."""
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= MOST_LINES:
        return "\n".join(lines) + "\n"
    return "\n".join([*lines[: MOST_LINES - 3], "...", "", last]) + "\n"
