"""``perfgate compare-settings``: compares the settings of one model."""

import argparse
from pathlib import Path
from typing import Any

from perfgate.cli.common import OK, add_command
from perfgate.records.runfile import read
from perfgate.reports.plane import Limits
from perfgate.reports.report import Report


def add(commands: Any) -> None:
    """Declare the command."""
    help = "show a model's settings side by side, and the best ones by speed and memory"
    parser = add_command(commands, "compare-settings", run, help)
    parser.add_argument("runs", metavar="RUN", nargs="+", help="run file; all must come from one machine")
    parser.add_argument("--model", metavar="NAME", help="show only this model; default: all models")
    parser.add_argument("--picture", metavar="FILE", help="draw the first table as SVG, time over memory")
    parser.add_argument(
        "--under",
        metavar="LIMIT",
        action="append",
        default=[],
        help='name the fastest setting within limits, such as "memory 40GiB", "step 200ms", "sample 5ms", "token 5ms"',
    )


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Make a table for each model and kind of work."""
    limits = Limits.read(options.under)
    runs = [read(path) for path in options.runs]
    from perfgate.reports.compare_settings import choices, draw, settings_report

    groups = choices(runs, options.model)
    if options.picture:
        draw(groups, Path(options.picture))
    return OK, settings_report(groups, limits)
