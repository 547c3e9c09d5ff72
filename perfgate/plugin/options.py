"""The options of a run. The command line wins over the ini file, which wins over the default."""

import argparse
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from perfgate.gate.acceptance import of_option
from perfgate.records.durations import DURATIONS
from perfgate.records.store import MODES
from perfgate.reference.lock_files import LOCKS
from perfgate.shared.credentials import all_concealed
from perfgate.shared.device_kinds import DEVICE_KINDS, NOT_BEGUN
from perfgate.shared.errors import UserError, nearest
from perfgate.shared.metrics import METRICS, check_gated
from perfgate.shared.parsing import positive, read_duration, read_share, read_shares, read_until, read_watts, whole
from perfgate.workloads.models.model import TIERS

MARKER_KEYS = ("tier", "tolerance", "launches", "timeout_s", "dry")


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


@dataclass(frozen=True)
class Options:
    """The options of a run, checked."""

    device: str
    tier: str | None
    update: str | None
    reason: str
    baselines: str
    output: str
    launches: int
    timeout_s: float
    shard: tuple[int, int]
    shards_at_once: int
    durations: str
    root: str
    strict: bool
    reference: str
    reference_python: str
    version_tolerance: float
    candidate: str
    thorough: bool
    environment: str
    confirm: str
    locks: tuple[str, ...]
    install: tuple[str, ...]
    budget_s: float | None
    calibrate: int
    slowdowns: tuple[float, ...]
    preload: tuple[str, ...]
    default_tier: str
    html: str
    trace: str
    reports: tuple[str, ...]
    accepted: tuple[str, ...]
    plan: str
    history: str
    affected: str = ""
    power_limits_w: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The object for the run file's first line; URLs have no user names and passwords."""
        return dict(all_concealed(asdict(self)))


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


def read_options(config: pytest.Config) -> Options:
    """Collect and check the options.

    Raises:
        UserError: the message has the option, its value and the allowed values.
    """
    values: dict[str, str] = {}
    named = set()
    for option in OPTIONS:
        given = config.getoption(option.flag)
        value = str(config.getini(option.ini) if given is None else given)
        if given is not None or value != option.default:
            named.add(option.name)
        described = option.name == "device" and value.startswith(("fake:", "emulated:"))
        if option.name == "device" and value in NOT_BEGUN:
            raise UserError(f"{option.flag} {value}: {NOT_BEGUN[value]}; use --perf-device cpu")
        if option.choices and value not in option.choices and value != option.default and not described:
            raise UserError(f"{option.flag} is {value!r}{nearest(value, option.choices)}")
        values[option.name] = value
    read_until("--perf-reason", values["reason"])
    if values["update"] == "all" and not values["reason"].strip():
        raise UserError("--perf-update all replaces stored numbers; say why with --perf-reason 'WHY'")
    if values["update"] and values["baselines"].startswith("git:"):
        raise UserError("--perf-update cannot write to --perf-baselines git:REV; name a folder")
    if values["ref"] and values["update"]:
        raise UserError("--perf-ref holds two sides against each other and stores nothing; leave out --perf-update")
    if values["ref-python"] and not values["ref"]:
        raise UserError("--perf-ref-python goes with --perf-ref REV")
    accepted = tuple(config.getoption("--perf-accept") or ())
    if accepted and not values["ref"]:
        raise UserError(
            "--perf-accept goes with --perf-ref; what is stored moves with --perf-update all --perf-reason 'WHY'"
        )
    for text in accepted:
        of_option(text)
    history = str(config.getini("perf_history")) if config.getoption("--perf-history") else ""
    if config.getoption("--perf-history") and not history:
        raise UserError("--perf-history add needs a place; name a folder or a URL as perf_history in the ini file")
    plan = config.getoption("--perf-plan")
    if plan and not config.option.collectonly:
        raise UserError("--perf-plan measures nothing; add --collect-only")
    unnamed = "quick" if values["device"] == "none" else str(config.getini("perf_tier"))
    strict = config.getoption("--perf-strict")
    shard, at_once = read_shard(values["shard"])
    return Options(
        device=values["device"],
        tier=values["tier"] if "tier" in named else None,
        update=values["update"] or None,
        reason=values["reason"].strip(),
        baselines=values["baselines"],
        output=values["output"],
        launches=read_launches(values["launches"]),
        timeout_s=positive("--perf-timeout", values["timeout"]),
        shard=shard,
        shards_at_once=at_once,
        durations=values["durations"],
        root=values["root"].strip("/"),
        strict=bool(config.getini("perf_strict") if strict is None else strict),
        reference=values["ref"],
        reference_python=values["ref-python"],
        version_tolerance=read_share("--perf-version-tolerance", values["version-tolerance"]),
        candidate=config.getoption("--perf-candidate"),
        thorough=config.getoption("--perf-thorough"),
        environment=values["env"],
        confirm=values["confirm"],
        locks=tuple(config.getini("perf_lock")),
        install=tuple(config.getini("perf_ref_install")),
        calibrate=config.getoption("--perf-calibrate"),
        slowdowns=read_shares("--perf-slowdowns", config.getoption("--perf-slowdowns")),
        budget_s=read_duration("--perf-budget", values["budget"]) if values["budget"] else None,
        preload=tuple(config.getini("perf_preload")),
        default_tier=unnamed,
        html=values["html"],
        trace=values["trace"],
        reports=tuple(config.getoption("--perf-report") or ()),
        accepted=accepted,
        plan=plan,
        history=history,
        affected=config.getoption("--perf-affected"),
        power_limits_w=read_watts("--perf-power-limits", config.getoption("--perf-power-limits")),
    )


def read_launches(value: str) -> int:
    """Read the number of timed launches, which may be 0.

    Raises:
        UserError: it is no whole number.
    """
    number = whole(value)
    if number is None:
        raise UserError(f"--perf-launches is {value!r}; it must be a whole number, 0 or more")
    return number


def read_shard(value: str) -> tuple[tuple[int, int], int]:
    """Read ``I/N`` or ``I/N/M``; without ``M`` all shards run at once."""
    numbers = [whole(part) or 0 for part in value.split("/")]
    if len(numbers) not in (2, 3) or not 1 <= numbers[0] <= numbers[1] or not numbers[-1]:
        raise UserError(f"--perf-shard is {value!r}; it must be I/N with I from 1 to N, like 2/4")
    return (numbers[0], numbers[1]), min(numbers[-1], numbers[1])


def check_marker(where: str, arguments: tuple[Any, ...], values: dict[str, Any]) -> None:
    """Refuse arguments that ``@pytest.mark.perf`` does not have.

    Raises:
        UserError: the message has the case and the argument.
    """
    if arguments:
        raise UserError(f"{where}: mark perf takes named arguments only: {', '.join(MARKER_KEYS)}")
    for name, value in values.items():
        if name not in MARKER_KEYS:
            raise UserError(f"{where}: mark perf has no argument {name!r}{nearest(name, MARKER_KEYS)}")
        if name == "tier" and value not in TIERS:
            raise UserError(f"{where}: tier is {value!r}{nearest(str(value), TIERS)}")
        if name == "tolerance":
            read_tolerance(where, value)
        if name == "dry" and not isinstance(value, bool):
            raise UserError(f"{where}: dry is {value!r}; it is True where a case only runs dry")
        if name in ("launches", "timeout_s"):
            positive(f"{where}: {name}", value, whole=name == "launches")


def read_tolerance(where: str, value: Any) -> dict[str, float]:
    """Read a tolerance: one number for all times, or a mapping from metric to number.

    Raises:
        UserError: a metric that is not gated, or a number that is no share.
    """
    tolerances = value if isinstance(value, dict) else {"step_time_s": value}
    check_gated(tolerances, f"{where}: tolerance")
    for name, number in tolerances.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < 10:
            raise UserError(f"{where}: tolerance of {name} is {number!r}; it is a share above 0, like 0.05 for 5%")
    if isinstance(value, dict):
        return {name: float(number) for name, number in value.items()}
    return {name: float(value) for name, row in METRICS.items() if row.noisy}
