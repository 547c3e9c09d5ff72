"""The command line, ``perfgate COMMAND``: finds the command and writes its report."""

import argparse
import gc
import io
import sys
from collections.abc import Sequence
from importlib import import_module

from perfgate import __version__
from perfgate.cli.common import BAD_INPUT, Parser, write
from perfgate.shared.errors import UserError

INTERRUPTED = 130  # the code that shells use
# In the order of the help. The module of a command is imported only when the command runs, so that the help and the
# version need no library.
COMMANDS = {
    "compare": "decide whether one run is worse than another",
    "explain": "show why one case got worse, by the difference of its sides",
    "report": "show the values and verdicts in run files as tables",
    "compare-settings": "show a model's settings side by side, and the best ones by speed and memory",
    "predict": "predict the memory, work and time of a step on a GPU",
    "doctor": "find out what this machine can measure and gate, and which commands help; "
    "exits with 1 if it can measure nothing",
    "calibrate": "measure this machine's noise, and which slowdowns the gate sees on it",
    "tour": "measure on this machine what training and running models costs, and explain it topic by topic",
    "upgrade": "find out how other versions of some packages change the cases of this suite",
    "history": "keep the numbers of many runs, and find what moved, when, and between which commits",
    "bisect": "find the commit, or the version of a package, with which a case got worse",
    "baselines": "list, show, prune and move baselines, and store accepted regressions",
    "merge": "merge the run files of a suite's shards into one",
    "fleet": "measure a suite in jobs of Slurm or of this machine",
    "comment": "comment on a pull request or merge request",
    "issues": "open one issue for each change in a history that made something worse",
}

KEPT_OBJECTS = 100_000  # with Python's own threshold, a command that reads 260 MB of run files took 1.5 times as long


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    if arguments is None:
        # A command keeps what it reads until it ends, so collecting garbage meanwhile would be wasted time.
        gc.set_threshold(KEPT_OBJECTS)
    words = sys.argv[1:] if arguments is None else arguments
    options = build_parser(next((word for word in words if word in COMMANDS), "")).parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code, found = options.command(options)
        return code if write(found, options) else BAD_INPUT
    except UserError as error:
        print("\n".join(filter(None, [f"perfgate: {error}", error.details])), file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("perfgate: interrupted", file=sys.stderr)
        return INTERRUPTED


def build_parser(asked: str = "") -> argparse.ArgumentParser:
    """The commands and their options.

    Args:
        asked: the command whose options are wanted; all others get only their name and help.
    """
    parser = Parser(prog="perfgate", description="Performance regression tests for Hugging Face models.")
    parser.add_argument("--version", action="version", version=f"perfgate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, help in COMMANDS.items():
        if name == asked:
            import_module(f"perfgate.cli.{name.replace('-', '_')}").add(commands)
        else:
            commands.add_parser(name, help=help)
    return parser
