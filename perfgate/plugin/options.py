"""The options of a run. The command line wins over the ini file, which wins over the default."""

from dataclasses import asdict, dataclass
from typing import Any

import pytest

from perfgate.gate.acceptance import of_option
from perfgate.plugin.declared_options import OPTIONS
from perfgate.shared.credentials import all_concealed
from perfgate.shared.device_kinds import NOT_BEGUN
from perfgate.shared.errors import UserError, nearest
from perfgate.shared.parsing import positive, read_duration, read_share, read_shares, read_until, read_watts, whole


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
    shard_folder: str = ""
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
        "--perf-report", action="append", metavar="FORMAT=FILE", help="write a report at the end, as markdown=report.md"
    )
    group.addoption(
        "--perf-accept",
        action="append",
        metavar="CASE:METRIC:+12%",
        help="let a metric get worse against --perf-ref, by so much at most; CASE:dry_run accepts a lost dry run",
    )
    group.addoption(
        "--perf-history",
        metavar="add",
        choices=("add",),
        help="keep this run in the history that perf_history names; the tree must hold no uncommitted changes",
    )
    group.addoption(
        "--perf-plan", metavar="CARD", default="", help="with --collect-only: the seconds of each case on this GPU"
    )
    group.addoption(
        "--perf-affected", metavar="REV", default="", help="run only cases whose imported files changed since REV"
    )
    group.addoption(
        "--perf-power-limits",
        metavar="WATTS,WATTS",
        default="",
        help="measure each case under each of these power limits, set meanwhile; nothing is compared or stored",
    )
    group.addoption(
        "--perf-benchmark-table",
        action="store_true",
        help="show the cases in pytest-benchmark's table, as any of its own options does",
    )
    # Set by `perfgate upgrade` for the runs that it starts: the interpreter that takes this one's part.
    group.addoption("--perf-candidate", default="", help=argparse.SUPPRESS)
    # Set by `perfgate bisect`: fresh duets decide every time, also one that the screen would pass.
    group.addoption("--perf-thorough", action="store_true", help=argparse.SUPPRESS)
    # Set by `perfgate fleet`: the folder with the tries of one shard, of which this run is the next.
    group.addoption("--perf-shard-folder", default="", help=argparse.SUPPRESS)
    # Set by `perfgate calibrate` for the run that it starts.
    group.addoption("--perf-calibrate", type=int, default=0, help=argparse.SUPPRESS)
    group.addoption("--perf-slowdowns", default="0", help=argparse.SUPPRESS)
    group.addoption("--perf-strict", action="store_true", default=None, help="fail where one could not tell")
    parser.addini("perf_strict", "fail where one could not tell", type="bool", default=False)
    parser.addini("perf_history", "the history: a folder, or a URL that fsspec opens (docs/history.md)", default="")
    parser.addini("perf_preload", "modules that the fork servers import ahead", type="args", default=[])
    parser.addini(
        "perf_lock",
        "files that pin libraries; a revision with others gets its own environment",
        "args",
        [*LOCKS],
    )
    parser.addini("perf_ref_install", "arguments of pip install for an environment that is built", "args", [])


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
        shard_folder=config.getoption("--perf-shard-folder"),
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
