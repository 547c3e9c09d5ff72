"""``perfgate doctor``: finds out what this machine can measure and gate."""

import argparse
import sys
from typing import Any

from perfgate.cli.common import OK, WORSE, add_command
from perfgate.cli.ini import add_preload, read_ini, with_preload
from perfgate.reports.report import Report


def add(commands: Any) -> None:
    """Declare the command."""
    help = (
        "find out what this machine can measure and gate, and which commands help; "
        "exits with 1 if it can measure nothing"
    )
    parser = add_command(commands, "doctor", run, help)
    parser.add_argument("--quick", action="store_true", help="skip measuring the noise, which takes about 20 s")
    parser.add_argument(
        "--baselines",
        metavar="DIR",
        help="folder of the baselines; default: perf_baselines of the ini file, or baselines",
    )
    parser.add_argument("--device", metavar="DEVICE", default="auto", help="device to examine, as for --perf-device")
    add_preload(parser)


def run(options: argparse.Namespace) -> tuple[int, Report]:
    """Examine the machine."""
    from perfgate.doctor.diagnosis import diagnose
    from perfgate.reports.doctor import doctor_report

    ini = read_ini()
    preload = with_preload(ini, options.preload), ini.programs
    folder = options.baselines or ini.baselines
    diagnosis = diagnose(ini.root, folder, options.quick, show_progress, *preload, options.device)
    show_progress("")
    return OK if diagnosis.fit else WORSE, doctor_report(diagnosis)


def show_progress(what: str) -> None:
    """Rewrite one line of a terminal; do nothing if standard error is no terminal."""
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{what}", end="", file=sys.stderr, flush=True)
