"""The command line, ``perfgate COMMAND``: finds the command and writes its report."""

import argparse
import io
import sys
from collections.abc import Sequence

from perfgate import __version__
from perfgate.cli import (
    baselines,
    bisect,
    calibrate,
    comment,
    compare,
    compare_settings,
    doctor,
    fleet,
    history,
    issues,
    merge,
    predict,
    report,
    tour,
    upgrade,
)
from perfgate.cli.common import BAD_INPUT, Parser, write
from perfgate.shared.errors import UserError

COMMANDS = (
    compare,
    report,
    compare_settings,
    predict,
    doctor,
    calibrate,
    upgrade,
    history,
    bisect,
    baselines,
    merge,
    fleet,
    comment,
    issues,
    tour,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    options = build_parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code, found = options.command(options)
        return code if write(found, options) else BAD_INPUT
    except UserError as error:
        print("\n".join(filter(None, [f"perfgate: {error}", error.details])), file=sys.stderr)
        return BAD_INPUT


def build_parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    parser = Parser(prog="perfgate", description="Performance regression tests for Hugging Face models.")
    parser.add_argument("--version", action="version", version=f"perfgate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
