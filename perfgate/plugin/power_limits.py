"""A sweep over power limits: makes one case for each limit out of each selected case."""

from collections.abc import Iterable

import pytest

from perfgate.plugin.namesakes import names_of
from perfgate.plugin.options import Options
from perfgate.plugin.selection import marks_of
from perfgate.plugin.target import Target
from perfgate.shared.errors import UserError

FLAG = "--perf-power-limits"
ARGUMENT = "perfgate_power_limit_w"


def check_alone(config: pytest.Config, options: Options) -> None:
    """Refuse options that cannot be combined with a sweep.

    Raises:
        UserError: the message names the other option.
    """
    if not options.power_limits_w:
        return
    if getattr(config.option, "numprocesses", None):
        raise UserError(f"{FLAG} sets the limit of one GPU for one case at a time; leave out -n")
    others = {"--perf-update": options.update, "--perf-ref": options.reference, "--perf-history": options.history}
    for flag, value in others.items():
        if value:
            raise UserError(f"{FLAG} measures what is held against nothing and never stored; leave out {flag}")


def divide(metafunc: pytest.Metafunc, limits: tuple[int, ...]) -> None:
    """Make one case for each limit out of a test that measures."""
    if limits and "perf" in names_of(metafunc.definition):
        metafunc.fixturenames.append(ARGUMENT)
        metafunc.parametrize(ARGUMENT, limits, ids=[f"{limit_w}W" for limit_w in limits])


def limit_of(item: pytest.Item) -> int | None:
    """The power limit under which a case is measured; ``None`` for the usual one."""
    callspec = getattr(item, "callspec", None)
    found: int | None = callspec.params.get(ARGUMENT) if callspec else None
    return found


def timed_under(cases: Iterable[pytest.Item], limits: tuple[int, ...]) -> list[pytest.Item]:
    """The cases of a run; in a sweep only those that take times, without effects and dry cases."""
    return [item for item in cases if not limits or (limit_of(item) and not marks_of(item).get("dry"))]


def check_limits(target: Target, limits: tuple[int, ...]) -> None:
    """Check before the first case that the limits can be set.

    Raises:
        UserError: they cannot.
    """
    if not limits:
        return
    from perfgate.measure.power_limit import check_settable
    from perfgate.system.locks import DeviceLock

    if target.kind == "none":
        raise UserError(f"{FLAG} needs a GPU, and --perf-device none has no device")
    check_settable(target.device, DeviceLock(target.device.uuid), limits)
