"""The reports of ``perfgate baselines``."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from perfgate.gate.acceptance import Acceptance
from perfgate.gate.wording import many
from perfgate.records.baseline_files import case_file
from perfgate.records.baselines import Baseline
from perfgate.reference.baseline_state import SPECIAL
from perfgate.reports.report import Report, Section
from perfgate.reports.tables import shown
from perfgate.shared.errors import UserError
from perfgate.system.git import git

Stored = Mapping[str, Mapping[str, Baseline]]
COMMITS = 20  # the most commits to list for a file; older ones are left out
PRUNE = "perfgate baselines prune --yes"


def said_report(lines: Sequence[str], document: Mapping[str, Any]) -> Report:
    """A report of sentences only."""
    return Report([Section(lines=lines)], pd.DataFrame({"said": list(lines)}), document)


def listed_report(stored: Stored, commits: Sequence[tuple[str, Acceptance]], today: str) -> Report:
    """The report of all machines and their baselines, and of accepted regressions, overdue ones first.

    Args:
        stored: baselines by machine and case.
        commits: the acceptances in trailers of commits, each with the commit's author.
        today: the date, such as ``2027-01-31``.
    """
    rows = [machine_row(name, cases) for name, cases in stored.items()]
    found = [*accepted_rows(stored, today), *commit_rows(commits, today)]
    accepted = sorted(found, key=lambda row: (not row["overdue"], row["until"] or "9", row["case"]))
    overdue = [row for row in accepted if row["overdue"]]
    lines = [f"{len(overdue)} accepted regressions are overdue."] if overdue else []
    tables = {"Baselines": pd.DataFrame(rows)}
    if accepted:
        told = [
            {**row, "until": row["until"] or None, "overdue": "overdue" if row["overdue"] else None} for row in accepted
        ]
        tables["Accepted"] = pd.DataFrame(told).dropna(axis="columns", how="all")
    return Report([Section("", lines, tables)], pd.DataFrame(accepted), {"machines": rows, "accepted": accepted})


def machine_row(name: str, cases: Mapping[str, Baseline]) -> dict[str, Any]:
    """The row of a machine: its numbers of cases, sessions and launches."""
    sessions = {launch.session for one in cases.values() for launch in one.launches}
    return {
        "machine": name,
        "cases": len(cases),
        "sessions": len(sessions),
        "launches": sum(len(one.launches) for one in cases.values()),
        "last moved": max((one.date[:10] for one in cases.values()), default=""),
    }


def accepted_rows(stored: Stored, today: str) -> list[dict[str, Any]]:
    """A row for each baseline with an accepted regression."""
    return [
        {
            "case": case,
            "machine": machine,
            "by": one.by,
            "why": one.reason,
            "since": one.date[:10],
            "until": one.until,
            "overdue": bool(one.until) and one.until < today,
        }
        for machine, cases in stored.items()
        for case, one in cases.items()
        if one.by or one.until
    ]


def commit_rows(commits: Sequence[tuple[str, Acceptance]], today: str) -> list[dict[str, Any]]:
    """A row for each acceptance in a commit that names a last day."""
    return [
        {
            "case": f"{one.case} {one.metric}",
            "machine": one.source,
            "by": author,
            "why": one.reason,
            "since": "",
            "until": one.until,
            "overdue": one.until < today,
        }
        for author, one in commits
        if one.until
    ]


def pruned_report(gone: Mapping[str, Sequence[str]], removed: bool) -> Report:
    """The report of baselines that belong to no case, and whether they were removed."""
    rows = [{"machine": machine, "case": case} for machine, cases in gone.items() for case in cases]
    count = f"{many(len(rows), 'baseline')} {'belongs' if len(rows) == 1 else 'belong'} to no case"
    them = "it" if len(rows) == 1 else "them"
    done = f"{count}; perfgate removed {them}." if removed else f"{count}; remove {them} with: {PRUNE}"
    lines = [done if rows else "Every baseline belongs to a case."]
    tables = {"Of no case": pd.DataFrame(rows)} if rows else {}
    return Report([Section("", lines, tables)], pd.DataFrame(rows), {"gone": rows, "removed": removed})


def shown_report(root: Path, found: Mapping[str, Sequence[Baseline]]) -> Report:
    """The report of some cases' baselines, with the commits that changed them."""
    sections, rows = [], []
    for machine, baselines in found.items():
        for one in baselines:
            values = [row for name in one.metrics if (row := value_row(one, name))]
            rows += [{"machine": machine, "case": one.case, **row} for row in values]
            moves = moves_of(root, machine, one.case)
            tables = {"Stored": pd.DataFrame(values)}
            if moves:
                tables["Moved by"] = pd.DataFrame(moves)
            sections.append(Section(f"{one.case} on {machine}", [why(one)], tables))
    return Report(sections, pd.DataFrame(rows), {"stored": rows})


def why(one: Baseline) -> str:
    """A sentence that says why a baseline was last changed."""
    whom = f" by {one.by}" if one.by else ""
    until = f"; it is accepted until {one.until}" if one.until else ""
    return f"Last moved {one.date[:10]}{whom} at commit {one.commit[:12] or '(none)'}: {one.reason}{until}."


def value_row(one: Baseline, name: str) -> dict[str, Any]:
    """The row of one metric over all sessions."""
    sessions = one.values(name)
    values = [value for group in sessions.values() for value in group]
    return {
        "metric": name,
        "median": shown(name, statistics.median(values)),
        "smallest": shown(name, min(values)),
        "largest": shown(name, max(values)),
        "sessions": len(sessions),
        "launches": len(values),
    }


def moves_of(root: Path, machine: str, case: str) -> list[dict[str, str]]:
    """The commits that changed a case's own row, newest first; empty outside of a repository."""
    name = f"{machine}/{case_file(case)}"
    pattern = SPECIAL.sub(r"\\\1", f'"case": {json.dumps(case)}, "workload"')
    try:
        said = git(root, "log", f"-{COMMITS}", "--format=%as%x09%h%x09%an%x09%s", f"-G{pattern}", "--", name)
    except UserError:
        return []
    keys = ("date", "commit", "who", "subject")
    return [dict(zip(keys, line.split("\t", 3), strict=True)) for line in said.splitlines()]
