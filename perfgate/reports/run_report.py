"""The report of ``perfgate report``: a run's verdicts, each technique's settings, memory and work."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from perfgate.gate import acceptance
from perfgate.gate.dry_run import has_dry_run, why_not
from perfgate.gate.wording import summarize
from perfgate.records.runfile import RunFile
from perfgate.records.verdict import Verdict
from perfgate.reports.bar import bar_lines
from perfgate.reports.digest import digest, settings_of
from perfgate.reports.folded import first_line, folded_tables
from perfgate.reports.memory import memory_rows, memory_table
from perfgate.reports.page.content import against_what, content_of
from perfgate.reports.page.overview import headline, sight
from perfgate.reports.page.rows import CaseRow, case_rows
from perfgate.reports.report import Report, Section
from perfgate.reports.tables import long_table, setting_rows, technique_tables, verdict_table
from perfgate.reports.update import named
from perfgate.reports.work import group_table, work_rows, work_tables
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.shared.errors import UserError


def run_report(runs: Sequence[RunFile], work: str | None = None, everything: bool = False, link: str = "") -> Report:
    """The report of one or more runs.

    Args:
        runs: the runs; each becomes a section.
        work: if given, the report shows only the work of cases whose id contains this text, by operator and by module.
        everything: whether to write a row for each verdict, and the predicted memory and work of each case, in place
            of one row for each case.
        link: the URL of the page, for a digest in markdown.

    Raises:
        UserError: no case whose id contains ``work`` ran dry.
    """
    frames = [rows_of(run, work).assign(run=run.header["run_id"]) for run in runs]
    return Report(
        [section_of(run, work, everything) for run in runs],
        pd.concat(frames),
        {"runs": [document_of(run, work) for run in runs]},
        lambda: content_of(only(runs)),
        None if everything or work is not None else lambda: [line for run in runs for line in digest_of(run, link)],
    )


def only(runs: Sequence[RunFile]) -> RunFile:
    """The only run, for a page.

    Raises:
        UserError: there are several runs.
    """
    if len(runs) > 1:
        raise UserError("a page shows one run, or two of them with: perfgate compare BASE HEAD --format html")
    return runs[0]


def section_of(run: RunFile, work: str | None = None, everything: bool = False) -> Section:
    """The section of one run."""
    if work is not None:
        return Section(title(run), [subtitle(run)], work_tables(run, work))
    rows = case_rows(run, run.verdicts, ends=True)
    opening = [subtitle(run), *bar_lines(run.header.get("bar") or ()), *judged(run, rows), *accepted(run)]
    counted = [counts(run.verdicts)] if run.verdicts else []
    notes = [*skipped_lines(rows), *without_exact(run)]
    if not everything:
        return Section(title(run), [*opening, *counted], folded_tables(rows) | technique_tables(run), [*notes, MORE])
    more = {
        "memory: predicted and measured": memory_table(run),
        "work: each operator group's share of FLOPs / of bytes moved": group_table(run),
    }
    tables = technique_tables(run) | {name: frame for name, frame in more.items() if not frame.empty}
    verdicts = {"Verdicts": verdict_table(run.verdicts)} if run.verdicts else {}
    return Section(title(run), [*opening, *failed_lines(run), *counted], verdicts | tables, notes)


def judged(run: RunFile, rows: Sequence[CaseRow]) -> list[str]:
    """A sentence on the result, and sentences on the changes that this run could have seen."""
    if not run.verdicts:
        return []
    return [headline(rows, against_what(run, None, run.verdicts))[1], *sight(run, run.verdicts)]


def digest_of(run: RunFile, link: str) -> list[str]:
    """The digest of one run."""
    rows = case_rows(run, run.verdicts, ends=True)
    opening = [*judged(run, rows), *bar_lines(run.header.get("bar") or ()), *accepted(run)]
    return digest(title(run), opening, rows, subtitle(run).splitlines(), link, settings_of(run))


def skipped_lines(rows: Sequence[CaseRow]) -> list[str]:
    """Sentences on cases that pytest skipped and that have no verdict, by reason."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.ended == "skipped" and not row.verdicts:
            reasons.setdefault(first_line(row.message) or "no reason is known", []).append(row.case)
    return [f"Skipped: {named(found)}: {why}" for why, found in reasons.items()]


def rows_of(run: RunFile, work: str | None) -> pd.DataFrame:
    """A row for each case and metric; with ``work`` a row for each case, module and group of operators."""
    return long_table(run) if work is None else pd.DataFrame([row for row in work_rows(run) if work in row["case"]])


def document_of(run: RunFile, work: str | None) -> dict[str, Any]:
    """The content of all tables as plain numbers."""
    return {
        "run": dict(run.header),
        "summary": summarize(run.verdicts),
        "verdicts": [verdict.to_json() for verdict in run.verdicts],
        "settings": setting_rows(run),
        "memory": memory_rows(run),
        "work": [row for row in work_rows(run) if (work or "") in row["case"]],
    }


MORE = "Every verdict by itself, predicted memory, and work by group of operators: add --all."


def title(run: RunFile) -> str:
    """The title of a run's section: its id."""
    return f"Perfgate run {run.header['run_id']}"


def subtitle(run: RunFile) -> str:
    """The machine, libraries, commit and date of a run, and those of its reference if it had one."""
    header = run.header
    this = one_side(header["software"], header.get("commit"), " with changes" if header.get("dirty") else "")
    kind = DEVICE_KINDS.get(header["machine"].get("device", ""))
    remark = kind.remark if kind else ""
    text = f"Machine {header['machine']['name']}{remark}; {this}; {header['created']}"
    if not (reference := header.get("reference")):
        return text
    there = one_side(reference.get("software") or {}, reference.get("commit"))
    return f"{text}\nReference {reference['name']}: {there}{also_moved(reference.get('moved') or {})}"


def one_side(software: Mapping[str, str], commit: str | None, changes: str = "") -> str:
    """The libraries and the commit of one side as text."""
    at = [f"commit {commit[:10]}{changes}"] if commit else []
    return ", ".join([*(f"{name} {version}" for name, version in software.items()), *at])


def also_moved(moved: Mapping[str, Sequence[str]]) -> str:
    """A clause about other packages whose versions differ between the sides, the reference's version first."""
    both = [f"{name} {before} -> {now}" for name, (before, now) in moved.items() if before and now]
    return f"; other versions there: {', '.join(both)}" if both else ""


def accepted(run: RunFile) -> list[str]:
    """Sentences about accepted regressions, and about acceptances without use."""
    said = acceptance.from_json(run.header.get("accepted"))
    used = [*acceptance.accepted_lines(run.verdicts), *acceptance.unused_lines(said, run.verdicts)]
    return used + [str(line) for line in run.header.get("misread") or ()]


def failed_lines(run: RunFile) -> list[str]:
    """Sentences about cases that failed for another reason than their verdicts, such as an assert or a teardown."""
    return [f"{case} did not pass: {why}" for case, why in (run.header.get("failed") or {}).items()]


def without_exact(run: RunFile) -> list[str]:
    """Sentences about cases without a dry run, of which nothing exact is known, by reason."""
    reasons: dict[str, list[str]] = {}
    for case, launches in run.by_case().items():
        if launches and not has_dry_run(launches):
            reasons.setdefault(why_not(launches) or "nothing in it can run dry", []).append(case)
    return [f"Exact metrics are missing of {named(cases)}: {why}" for why, cases in reasons.items()]


def counts(verdicts: Sequence[Verdict]) -> str:
    """The number of verdicts of each kind: ``1 regressed, 3 pass``."""
    return ", ".join(f"{count} {name}" for name, count in summarize(verdicts).items())
