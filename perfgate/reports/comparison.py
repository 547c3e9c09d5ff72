"""The report of ``perfgate compare``: a table of all verdicts, and a sentence for each that needs attention."""

from collections.abc import Sequence

import pandas as pd

from perfgate.gate.acceptance import accepted_lines
from perfgate.gate.wording import counted_as, sentence, summarize
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.reports.digest import digest
from perfgate.reports.folded import folded_tables
from perfgate.reports.page.content import against_what, content_of
from perfgate.reports.page.overview import headline, sight
from perfgate.reports.page.rows import case_rows
from perfgate.reports.report import Report, Section
from perfgate.reports.run_report import counts, subtitle
from perfgate.reports.tables import verdict_table


def comparison_report(
    verdicts: Sequence[Verdict],
    gone: Sequence[str],
    base: RunFile,
    head: RunFile,
    everything: bool = False,
    link: str = "",
) -> Report:
    """The report of a comparison.

    Args:
        verdicts: the verdicts on all cases that both sides have.
        gone: the ids of cases that only the reference has.
        base: the run file of the old state.
        head: the run file of the new state; the same as ``base`` if one file holds both sides.
        everything: whether to write a row for each verdict, and not only for each case.
        link: the URL of the page, for a digest in markdown.
    """
    bad = [sentence(verdict) for verdict in verdicts if counted_as(verdict) in ("regressed", "stale", "invalid")]
    known = {verdict.case for verdict in verdicts if counted_as(verdict) != "new"}
    added = dict.fromkeys(verdict.case for verdict in verdicts if verdict.case not in known)
    missing = [f"{case}: only in BASE, not compared" for case in gone]
    missing += [f"{case}: only in HEAD, not compared" for case in added]
    numbers = [verdict.to_json() for verdict in verdicts]
    rows = case_rows(head, verdicts, ends=False)
    against = against_what(head, base, verdicts)
    opening = [headline(rows, against)[1], *sight(head, verdicts), *accepted_lines(verdicts)]
    tables = {"Verdicts": verdict_table(verdicts)} if everything else folded_tables(rows)
    sides = [f"{name}: {subtitle(run)}" for name, run in (("BASE", base), ("HEAD", head))]
    return Report(
        [Section(lines=opening, tables=tables, notes=[*bad, *missing, counts(verdicts)])],
        pd.DataFrame(numbers),
        {"verdicts": numbers, "summary": summarize(verdicts)},
        lambda: content_of(head, base, verdicts),
        None
        if everything
        else lambda: digest(f"Perfgate: {title_of(head)} against {against}", [*opening, *missing], rows, sides, link),
    )


def title_of(run: RunFile) -> str:
    """A noun for a run."""
    return f"run {run.header['run_id']}"
