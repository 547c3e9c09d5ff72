"""The report of ``perfgate compare``: a table of all verdicts, and a sentence for each that needs attention."""

from collections.abc import Sequence

import pandas as pd

from perfgate.gate.acceptance import accepted_lines
from perfgate.gate.wording import counted_as, sentence, summarize
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.reports.page.content import content_of
from perfgate.reports.report import Report, Section
from perfgate.reports.run_report import counts
from perfgate.reports.tables import verdict_table


def comparison_report(verdicts: Sequence[Verdict], gone: Sequence[str], base: RunFile, head: RunFile) -> Report:
    """The report of a comparison.

    Args:
        verdicts: the verdicts on all cases that both sides have.
        gone: the ids of cases that only the reference has.
        base: the run file of the old state.
        head: the run file of the new state; the same where one file holds both sides.
    """
    bad = [sentence(verdict) for verdict in verdicts if counted_as(verdict) in ("regressed", "stale", "invalid")]
    missing = [f"{case}: only in BASE, not compared" for case in gone]
    rows = [verdict.to_json() for verdict in verdicts]
    section = Section(
        lines=accepted_lines(verdicts),
        tables={"Verdicts": verdict_table(verdicts)},
        notes=[*bad, *missing, counts(verdicts)],
    )
    return Report(
        [section],
        pd.DataFrame(rows),
        {"verdicts": rows, "summary": summarize(verdicts)},
        lambda: content_of(head, base, verdicts),
    )
