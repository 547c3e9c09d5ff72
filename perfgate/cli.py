"""The command line: ``perfgate compare`` and ``perfgate report``."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from perfgate import __version__
from perfgate.errors import UserError
from perfgate.gate.judgement import compare
from perfgate.gate.outcome import sentence
from perfgate.gate.verdicts import summarize
from perfgate.records.runfile import Run, read
from perfgate.records.verdict import Verdict

OK, WORSE, BAD_INPUT, UNSURE = 0, 1, 2, 3
FORMATS = ("terminal", "markdown", "csv", "json")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Print and exit as bad usage."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.command(options)
        sys.stdout.flush()
        return code
    except UserError as error:
        print(f"perfgate: {error}", file=sys.stderr)
        return BAD_INPUT
    except BrokenPipeError:
        # The reader (head, less) has seen enough; nothing more may be written to it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = Parser(prog="perfgate", description="Performance regression tests for Hugging Face models.")
    parser.add_argument("--version", action="version", version=f"perfgate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    against = commands.add_parser("compare", help="decide whether one run is worse than another")
    against.add_argument("base", metavar="BASE", help="run file of what was before, or a file that holds both sides")
    against.add_argument("head", metavar="HEAD", nargs="?", help="run file of what is under test")
    against.add_argument("--json", action="store_true", help="print one JSON document")
    against.add_argument("--strict", action="store_true", help="exit with 3 where one could not tell")
    against.set_defaults(command=compare_command)

    report = commands.add_parser("report", help="tables of what runs measured and decided")
    report.add_argument("runs", metavar="RUN", nargs="+", help="run file")
    report.add_argument("--format", choices=FORMATS, default="terminal", help="default: terminal")
    report.add_argument("--output", metavar="FILE", help="write there instead of standard output")
    report.set_defaults(command=report_command)
    return parser


def compare_command(options: argparse.Namespace) -> int:
    """Hold the candidate launches of HEAD against those of BASE, or the two sides of one file."""
    base = read(options.base)
    head = read(options.head) if options.head else base
    reference = base.by_case("candidate" if options.head else "reference")
    candidate = head.by_case()
    check_comparable(base, head, options)
    if not reference or not candidate:
        which = "reference" if not reference else "candidate"
        hint = "" if options.head else "; name a second run file to compare with"
        raise UserError(f"{options.base}: holds no {which} launches{hint}")
    if not set(reference) & set(candidate):
        raise UserError(f"{options.base} and {options.head or options.base} have no case in common")
    verdicts = compare(reference, candidate, head.tolerances())
    gone = sorted(set(reference) - set(candidate))
    summary = summarize(verdicts)
    if options.json:
        print(json.dumps({"verdicts": [verdict.to_json() for verdict in verdicts], "summary": summary}))
    else:
        show_comparison(verdicts, summary, gone)
    return exit_code(verdicts, options.strict)


def check_comparable(base: Run, head: Run, options: argparse.Namespace) -> None:
    """Refuse to compare timings of different machines."""
    names = [run.header["machine"]["name"] for run in (base, head)]
    if names[0] != names[1]:
        raise UserError(
            f"{options.base} was measured on {names[0]} and {options.head} on {names[1]}; "
            "timings of different machines do not compare, measure both on one"
        )


def show_comparison(verdicts: Sequence[Verdict], summary: dict[str, int], gone: Sequence[str]) -> None:
    """Sentences for what is not a pass, a table for the rest."""
    from rich.console import Console

    from perfgate.reports.render import rich_table
    from perfgate.reports.tables import verdict_table

    console = Console(width=None if sys.stdout.isatty() else 240)
    console.print(rich_table("Verdicts", verdict_table(verdicts)))
    for verdict in verdicts:
        if verdict.verdict in ("regressed", "stale", "invalid"):
            print(sentence(verdict))
    for case in gone:
        print(f"{case}: only in BASE, not compared")
    print(", ".join(f"{count} {name}" for name, count in summary.items()))


def exit_code(verdicts: Sequence[Verdict], strict: bool) -> int:
    """0 nothing got worse, 1 something did, 3 could not tell and asked to be strict."""
    names = {verdict.verdict for verdict in verdicts}
    if names & {"regressed", "stale"}:
        return WORSE
    return UNSURE if strict and names & {"inconclusive", "invalid", "new"} else OK


def report_command(options: argparse.Namespace) -> int:
    """Write the report."""
    from perfgate.reports.render import FORMATS as RENDERERS

    runs = [read(path) for path in options.runs]
    render = RENDERERS[options.format]
    if not options.output:
        render(runs, sys.stdout)
        return OK
    try:
        with Path(options.output).open("w", encoding="utf-8") as file:
            render(runs, file)
    except OSError as error:
        raise UserError(f"{options.output}: cannot be written: {error.strerror}") from None
    return OK
