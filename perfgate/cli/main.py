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
    "explain": "why one case got worse: the difference of its two sides",
    "report": "tables of the values and verdicts in run files",
    "compare-settings": "a model's settings side by side, and which of them are on the front of speed and memory",
    "predict": "memory, work and time of a step on a GPU, without one",
    "doctor": "what this machine can measure and gate, and which commands help; "
    "exits with 1 where it can measure nothing",
    "calibrate": "how noisy this machine is, and which slowdowns the gate sees on it",
    "tour": "what training and running models costs, topic by topic, measured here and explained",
    "upgrade": "what other versions of some packages do to the cases of this suite",
    "history": "keep the numbers of many runs, and find what moved, when, and between which commits",
    "bisect": "the commit, or the version of a package, with which a case got worse",
    "baselines": "list, show, prune and move what is stored, and store accepted regressions",
    "merge": "put the run files of a suite's shards together",
    "fleet": "measure a suite as jobs of Slurm or of this machine",
    "comment": "comment on a pull request or merge request",
    "issues": "open one issue for each change of a history that made something worse",
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
