"""The part that all commands share: declaring a command and its options, and writing its report."""

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from perfgate.reports.formats import WRITERS, find_writer, terminal
from perfgate.reports.report import Report
from perfgate.shared.errors import UserError

OK, WORSE, BAD_INPUT, UNSURE = 0, 1, 2, 3

Command = Callable[[argparse.Namespace], tuple[int, Report]]


class Parser(argparse.ArgumentParser):
    """A parser that reports mistakes in one line, without the whole usage.

    Attributes:
        behind: the attribute that keeps the arguments after ``--``, which argparse cannot always tell from those
            before it; empty if the command takes none.
    """

    behind = ""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the arguments before ``--``, and keep those after it; a command refuses unknown arguments."""
        kept: list[str] = []
        if self.behind and args is not None and "--" in args:
            at = list(args).index("--")
            args, kept = args[:at], list(args[at + 1 :])
        found, unknown = super().parse_known_args(args, namespace)
        if unknown and self._subparsers is None:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        if kept:
            setattr(found, self.behind, kept)
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Print the message, and exit with the code for bad usage."""
        self.exit(BAD_INPUT, f"{self.prog}: {message}; see {self.prog} --help\n")


def add_command(commands: Any, name: str, run: Command, help: str, **more: Any) -> Parser:
    """Declare a command, with the options that all commands have.

    Args:
        commands: the object that ``add_subparsers`` returned.
        name: the command's name.
        run: a function from the parsed options to the exit code and the report.
        help: one line for the list of commands.
        more: further arguments of ``add_parser``.
    """
    parser: Parser = commands.add_parser(name, help=help, **more)
    parser.set_defaults(command=run)
    names = ", ".join(WRITERS)
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        type=format_name,
        default="terminal",
        metavar="FORMAT",
        help=f"{names}, or module:function for your own format; default: terminal",
    )
    form.add_argument("--json", dest="format", action="store_const", const="json", help="short for --format json")
    parser.add_argument("--output", metavar="FILE", help="write to this file instead of standard output")
    return parser


def add_fold(parser: argparse.ArgumentParser) -> None:
    """Declare the options of commands that show verdicts."""
    parser.add_argument("--all", action="store_true", help="a row for each verdict, and not only for each case")
    parser.add_argument("--page", metavar="URL", default="", help="URL of the page, for a link in markdown")


def page_beside(run_file: str) -> str:
    """The page beside a run file; empty if there is none."""
    path = Path(run_file).with_suffix(".html")
    return str(path) if path.is_file() else ""


def format_name(value: str) -> str:
    """Check the name of a format. A format of the user's own is imported only when the report is written."""
    if value not in WRITERS and ":" not in value:
        known = ", ".join(WRITERS)
        raise argparse.ArgumentTypeError(f"unknown format {value!r}, it may be {known}, or module:function")
    return value


def write(report: Report, options: argparse.Namespace) -> bool:
    """Write a report as the options say, and return whether that succeeded.

    Raises:
        UserError: the format cannot be imported, or the file cannot be written.
    """
    if options.format not in WRITERS:
        # A console script, unlike `python -m perfgate`, does not find modules in the current folder.
        sys.path.insert(0, str(Path.cwd()))
    writer = find_writer(options.format)
    interactive = writer is terminal and not options.output and sys.stdout.isatty()
    text = terminal(report, interactive=True) if interactive else writer(report)
    if not options.output:
        return to_standard_output(text)
    try:
        Path(options.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{options.output}: cannot be written: {error.strerror}") from None
    return True


def to_standard_output(text: str) -> bool:
    """Print a text, and return whether that succeeded. A reader that closes the pipe early (``head``) is no failure."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        # Keeps Python from writing to it again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            return True
        print(f"perfgate: standard output cannot be written: {error.strerror}", file=sys.stderr)
        return False
    return True
