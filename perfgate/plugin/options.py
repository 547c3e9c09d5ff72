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
