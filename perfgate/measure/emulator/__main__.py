"""Runs a command on the emulated card: ``python -m perfgate.measure.emulator [--card PROFILE] COMMAND...``."""

import argparse
import os
import sys

from perfgate.measure.emulator.build import started_on
from perfgate.measure.emulator.profiles import PROFILES, STANDARD
from perfgate.shared.errors import UserError


def main() -> None:
    """Put this process onto the card, and replace it by the command.

    The library is built for the torch of the running interpreter.
    """
    parser = argparse.ArgumentParser(
        prog="python -m perfgate.measure.emulator", description="Run a command on an emulated card."
    )
    parser.add_argument("--card", choices=PROFILES, default=STANDARD, help=f"default: {STANDARD}")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the command and its arguments")
    options = parser.parse_args()
    if not options.command:
        parser.error("a command is missing")
    try:
        environment = {**os.environ, **started_on(PROFILES[options.card])}
        os.execvpe(options.command[0], options.command, environment)
    except (UserError, OSError) as error:
        sys.exit(f"{parser.prog}: {error}")


if __name__ == "__main__":
    main()
