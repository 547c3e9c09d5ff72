"""The report of ``perfgate doctor``: what this machine can measure, and all findings, the worst first."""

from collections.abc import Iterator, Sequence

import pandas as pd

from perfgate.doctor.diagnosis import Diagnosis
from perfgate.doctor.finding import Finding, Level
from perfgate.reports.report import Report, Section

HEADINGS: dict[Level, str] = {"problem": "Problems", "note": "Notes", "ok": "In order"}


def doctor_report(diagnosis: Diagnosis) -> Report:
    """The report: a table of quantities that can be measured and gated, then every finding with a helpful command."""
    abilities = [
        {"": one.what, "measured": yes(one.measured), "gated": yes(one.gated), "why not": one.why}
        for one in diagnosis.abilities
    ]
    opening = f"{'Cases can' if diagnosis.fit else 'No case can'} be measured here."
    sections = [Section(opening, tables={"": pd.DataFrame(abilities)})]
    for level, heading in HEADINGS.items():
        if found := [finding for finding in diagnosis.findings if finding.level == level]:
            sections.append(Section(heading, [*lines(found)]))
    rows = pd.DataFrame([finding.to_json() for finding in diagnosis.findings])
    return Report(sections, rows, diagnosis.to_json())


def lines(findings: Sequence[Finding]) -> Iterator[str]:
    """A line for each finding, followed by a line with the command that helps, if there is one."""
    for finding in findings:
        yield f"{finding.topic}: {finding.text}"
        if finding.remedy:
            yield f"    $ {finding.remedy}"


def yes(value: bool) -> str:
    """``yes`` or ``no``."""
    return "yes" if value else "no"
