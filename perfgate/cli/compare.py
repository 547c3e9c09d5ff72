"""``perfgate compare``: decides whether one run is worse than another."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from perfgate.cli.common import OK, UNSURE, WORSE, add_command, add_fold
from perfgate.gate.acceptance import accept, from_json
from perfgate.gate.against_run import compare
from perfgate.gate.versions import Upgrade, differing
from perfgate.gate.wording import UNDECIDED
from perfgate.records.runfile import RunFile, read
from perfgate.records.verdict import Verdict
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError


def add(commands: Any) -> None:
    """Declare the command."""
    parser = add_command(commands, "compare", run, "decide whether one run is worse than another")
    parser.add_argument("base", metavar="BASE", help="run file of the old state, or one file that holds both sides")
    parser.add_argument("head", metavar="HEAD", nargs="?", help="run file of the new state")
    parser.add_argument("--strict", action="store_true", help="exit with 3 if something could not be decided")
    add_fold(parser)


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Compare the candidate launches of HEAD with those of BASE, or the two sides of one file."""
    base = read(options.base)
    head = read(options.head) if options.head else base
    check_comparable(base, head, options)
    reference = base.by_case("candidate" if options.head else "reference")
    candidate = head.by_case()
    check_sides(reference, candidate, options)
    upgrade = Upgrade(differing(software_of(base, reference_side=not options.head), software_of(head)))
    verdicts = compare(reference, candidate, head.tolerances(), upgrade)
    if not options.head:  # acceptances in a run file hold only against that run's own reference
        said = from_json(base.header.get("accepted"))
        verdicts = [accept(replace(verdict, against="reference"), said) for verdict in verdicts]
    from perfgate.reports.comparison import comparison_report  # imports pandas, which a refusal need not pay

    gone = sorted(set(reference) - set(candidate))
    report = comparison_report(verdicts, gone, base, head, options.all, options.page)
    return exit_code(verdicts, options.strict), report


def software_of(run: RunFile, reference_side: bool = False) -> Mapping[str, str]:
    """The library versions of the code under test, or of its reference."""
    found = run.header.get("reference") or {} if reference_side else run.header
    return found.get("software") or {}


def check_comparable(base: RunFile, head: RunFile, options: argparse.Namespace) -> None:
    """Refuse to compare times of different machines."""
    names = [run.header["machine"]["name"] for run in (base, head)]
    # A dry run measures no machine; the name holds the library versions instead, which may differ.
    dry = all(run.header["machine"].get("device") == "none" for run in (base, head))
    if names[0] != names[1] and not dry:
        raise UserError(
            f"{options.base} was measured on {names[0]} and {options.head} on {names[1]}; "
            "timings of different machines do not compare, measure both on one"
        )


def check_sides(reference: dict[str, Any], candidate: dict[str, Any], options: argparse.Namespace) -> None:
    """Refuse files without launches of a side, or without a common case."""
    head = options.head or options.base
    if not reference or not candidate:
        which, where = ("candidate", head) if reference else ("reference", options.base)
        hint = "" if options.head else "; name a second run file to compare with"
        raise UserError(f"{where}: holds no {which} launches{hint}")
    if not set(reference) & set(candidate):
        raise UserError(f"{options.base} and {head} have no case in common")


def exit_code(verdicts: Sequence[Verdict], strict: bool) -> int:
    """The exit code: 1 if something got worse, 3 if ``--strict`` is set and something is undecided, else 0."""
    names = {verdict.verdict for verdict in verdicts if not verdict.accepted}
    if names & {"regressed", "stale"}:
        return WORSE
    return UNSURE if strict and names & UNDECIDED else OK
