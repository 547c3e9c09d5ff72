"""Declares the options of a run and their ini values to pytest."""

import argparse
from dataclasses import dataclass

import pytest

from perfgate.records.durations import DURATIONS
from perfgate.records.moved_baseline import MODES
from perfgate.reference.lock_files import LOCKS
from perfgate.shared.device_kinds import DEVICE_KINDS
from perfgate.workloads.models.model import TIERS


@dataclass(frozen=True)
class Option:
    """One ``--perf-...`` option, which can be set in an ini file as well."""

    name: str
    default: str
    metavar: str
    help: str
    choices: tuple[str, ...] = ()

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return f"--perf-{self.name}"

    @property
    def ini(self) -> str:
        """The name in an ini file."""
        return f"perf_{self.name.replace('-', '_')}"


ENVIRONMENTS = ("check", "lock", "installed")
ENV_HELP = (
    "environment that this code runs in: check refuses one that differs from the files in perf_lock, lock builds the "
    "one that they name, installed accepts the installed one"
)
CONFIRMATIONS = ("auto", "never")
CONFIRM_HELP = (
    "auto: if stored times do not pass a case, duets against the baseline's own commit and libraries decide; never: "
    "stored times alone decide"
)
VERSION_HELP = "largest accepted growth of counts and bytes if the other side has other library versions"
TRACED = ("regressed", "all", "off")
TRACE_HELP = (
    "cases whose sides torch's profiler records as traces beside the run file, after everything else was measured: "
    "regressed, all, or off"
)
DEVICES = ("auto", *(name for name, kind in DEVICE_KINDS.items() if not kind.scripted), "none")
OPTIONS = (
    Option(
        "device",
        "auto",
        "DEVICE",
        f"device to measure on: {', '.join(DEVICES[:-1])}, or none to only run dry",
        DEVICES,
    ),
    Option("ref", "", "REV|PYTHON", "git revision or interpreter to compare this code with, in place of baselines"),
    Option("ref-python", "", "PYTHON", "interpreter for the revision"),
    Option("version-tolerance", "1%", "SHARE", VERSION_HELP),
    Option("env", "check", "HOW", ENV_HELP, ENVIRONMENTS),
    Option("confirm", "auto", "HOW", CONFIRM_HELP, CONFIRMATIONS),
    Option("tier", "smoke", "TIER", "tier to run: smoke, quick, standard or full", TIERS),
    Option("update", "", "MODE", "metrics to store as baselines: new, improved, more or all", MODES),
    Option(
        "reason",
        "",
        "TEXT",
        "why baselines change, perhaps 'until 2027-01-31'; required by --perf-update all, and stored with them",
    ),
    Option("baselines", "baselines", "DIR|git:REV", "folder of the baselines, or baselines/ at a git revision"),
    Option("html", "auto", "auto|off", "whether to write the page of the run beside its run file", ("auto", "off")),
    Option("trace", "off", "CASES", TRACE_HELP, TRACED),
    Option("output", "perf_output", "DIR", "folder for run files"),
    Option("launches", "3", "N", "timed launches for each case; 0 takes no times, only metrics that repeat exactly"),
    Option(
        "budget", "", "DURATION", "time limit of the run, such as 90s, 10m or 2h; cases that are left over are listed"
    ),
    Option("timeout", "120", "SECONDS", "seconds that a program's set-up or one step may take"),
    Option("shard", "1/1", "I/N[/M]", "run the Ith of N shards, dealt by stored durations; M of them run at once"),
    Option(
        "durations", DURATIONS, "FILE", "file of durations, as pytest-split stores them, for dealing cases to shards"
    ),
    Option("root", "perf_tests", "DIR", "folder of the cases; their ids are relative to it"),
)


def add_options(parser: pytest.Parser) -> None:
    """Declare every option to pytest."""
    group = parser.getgroup("perfgate", "performance regression tests")
    for option in OPTIONS:
        group.addoption(option.flag, metavar=option.metavar, default=None, help=option.help)
        parser.addini(option.ini, f"{option.help} (default {option.default!r})", default=option.default)
    group.addoption(
        "--perf-report", action="append", metavar="FORMAT=FILE", help="write a report at the end: markdown=report.md"
    )
    group.addoption(
        "--perf-accept",
        action="append",
        metavar="CASE:METRIC:+12%",
        help="let a metric get worse against --perf-ref, up to this limit; CASE:dry_run accepts a lost dry run",
    )
    group.addoption(
        "--perf-history",
        metavar="add",
        choices=("add",),
        help="add this run to the history that perf_history names; there must be no uncommitted changes",
    )
    group.addoption(
        "--perf-plan",
        metavar="CARD",
        default="",
        help="with --collect-only: predict the seconds of each case on this GPU",
    )
    group.addoption(
        "--perf-affected", metavar="REV", default="", help="run only cases whose imported files changed since REV"
    )
    group.addoption(
        "--perf-power-limits",
        metavar="WATTS,WATTS",
        default="",
        help="measure each case under each of these power limits, and compare and store nothing",
    )
    group.addoption(
        "--perf-benchmark-table",
        action="store_true",
        help="show the cases in pytest-benchmark's table; any of its own options does so too",
    )
    # Set by `perfgate upgrade` for the runs that it starts: the interpreter that is measured in place of this one.
    group.addoption("--perf-candidate", default="", help=argparse.SUPPRESS)
    # Set by `perfgate bisect`: fresh duets decide every time, even one that the screen would pass.
    group.addoption("--perf-thorough", action="store_true", help=argparse.SUPPRESS)
    # Set by `perfgate fleet`: the folder with the tries of one shard, of which this run is the next.
    group.addoption("--perf-shard-folder", default="", help=argparse.SUPPRESS)
    # Set by `perfgate calibrate` for the run that it starts.
    group.addoption("--perf-calibrate", type=int, default=0, help=argparse.SUPPRESS)
    group.addoption("--perf-slowdowns", default="0", help=argparse.SUPPRESS)
    group.addoption("--perf-strict", action="store_true", default=None, help="fail cases that could not be decided")
    parser.addini("perf_strict", "fail cases that could not be decided", type="bool", default=False)
    parser.addini("perf_history", "the history: a folder, or a URL that fsspec opens (docs/history.md)", default="")
    parser.addini("perf_preload", "modules that the fork servers import in advance", type="args", default=[])
    parser.addini(
        "perf_lock",
        "files that pin libraries; a revision in which they differ gets its own environment",
        "args",
        [*LOCKS],
    )
    parser.addini("perf_ref_install", "arguments of pip install for building such an environment", "args", [])
