"""``perfgate explain``: shows why one case got worse, by the differences between its two sides."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perfgate.cli.common import OK, add_command
from perfgate.cli.compare import check_comparable, software_of
from perfgate.gate.against_run import compare
from perfgate.gate.versions import Upgrade, differing
from perfgate.records.launch import Launch
from perfgate.records.runfile import RunFile, read
from perfgate.records.traces import traces_of
from perfgate.records.verdict import Verdict
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError

if TYPE_CHECKING:
    from perfgate.reports.explain import Explained

Cases = Mapping[str, Sequence[Launch]]


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "explain", run, "show why one case got worse, by the difference of its sides")
    parser.add_argument("head", metavar="RUN", help="run file of the new state")
    parser.add_argument("case", metavar="CASE", help="id of the case, or a part of it that no other id has")
    parser.add_argument("--against", dest="base", metavar="RUN", help="run file of the old state; default: the "
                        "reference that RUN itself holds")  # fmt: skip


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Explain one case; the exit code only says whether that was possible."""
    head = read(options.head)
    base = read(options.base) if options.base else None
    from perfgate.reports.explain import explain_report, find_case  # imports pandas, which a refusal need not pay

    cases = known(head)
    if not cases:
        raise UserError(f"{options.head}: holds no case")
    case = find_case(options.case, cases, options.head)
    if base is None:
        return OK, explain_report(within(head, case, Path(options.head).parent))
    check_comparable(base, head, options)
    return OK, explain_report(between(base, head, case, options))


def known(run: RunFile) -> list[str]:
    """The ids of all cases of a run."""
    lines = [line["case"] for line in run.workloads.values() if line.get("case")]
    return list(dict.fromkeys([*lines, *run.by_case(), *(verdict.case for verdict in run.verdicts)]))


def within(run: RunFile, case: str, folder: Path) -> "Explained":
    """Compare a case with the other side of its own run: a reference, or the baseline.

    Args:
        run: the run that measured it.
        case: its id.
        folder: the folder of the run file.
    """
    from perfgate.reports.difference import Sides
    from perfgate.reports.explain import Explained
    from perfgate.reports.traces import trace_lines

    before, now = (tuple(run.by_case(side).get(case, ())) for side in ("reference", "candidate"))
    stored: dict[str, Any] = {}
    for line in run.others:
        if line.get("kind") == "baseline" and line.get("case") == case and isinstance(line.get("ledger"), Mapping):
            stored |= line["ledger"]
    verdicts = tuple(verdict for verdict in run.verdicts if verdict.case == case)
    reference = run.header.get("reference") or {}
    against = f"reference {reference.get('name', '')}".strip() if before else held_against(verdicts)
    versions = software_of(run, reference_side=True)
    traces = trace_lines(traces_of(run).get(case, ()), folder)
    return Explained(case, verdicts, Sides(now, before, stored or None), against, versions, software_of(run), traces)


def held_against(verdicts: Sequence[Verdict]) -> str:
    """The name of the other side for a case without a reference; empty if it has no baseline."""
    return "the stored baseline" if any(verdict.verdict != "new" for verdict in verdicts) else ""


def between(base: RunFile, head: RunFile, case: str, options: argparse.Namespace) -> "Explained":
    """Compare a case of one run with the same case of another run.

    Raises:
        UserError: the other run has no such case.
    """
    from perfgate.reports.difference import Sides
    from perfgate.reports.explain import Explained, find_case
    from perfgate.reports.traces import trace_lines, traces_of_sides

    reference, candidate = base.by_case(), head.by_case()
    find_case(case, list(reference), options.base)
    if case not in candidate:
        raise UserError(f"{options.head}: holds no launches of {case}")
    before, now = software_of(base), software_of(head)
    verdicts = compare(reference, candidate, head.tolerances(), Upgrade(differing(before, now)))
    of_case = tuple(verdict for verdict in verdicts if verdict.case == case)
    sides = Sides(tuple(candidate[case]), tuple(reference[case]))
    found = traces_of_sides(head, base).get(case, ())
    traces = trace_lines(found, Path(options.head).parent, Path(options.base).parent)
    against = f"run {base.header['run_id']}"
    return Explained(case, of_case, sides, against, before, now, traces)
