"""Sets a power limit on a device for a while, and restores the former limit whatever happens."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from perfgate.measure.devices.base import Device, PowerControl, PowerLimit, other_limit
from perfgate.measure.devices.power import control_of
from perfgate.shared.errors import UserError
from perfgate.system.locks import DeviceLock

ANSWER_S = 30.0
PACKAGE = Path(__file__).resolve().parents[2]


@contextmanager
def limited(device: Device, lock: DeviceLock, limit_w: float) -> Iterator[None]:
    """Set a device's power limit within the block, and keep everybody else off the device.

    The former limit is set again at the end of the block. If this process is killed, a second process, started in
    advance, restores it; the device stays locked until then.

    Args:
        device: the device to limit.
        lock: the device's lock.
        limit_w: the limit in watts.

    Raises:
        UserError: the limit cannot be set, the driver reports another one afterwards, or the former one cannot be
            restored.
    """
    control = control_of(device.order)
    with lock.kept() as turn:
        former_w = control.read().set_w
        with watched(device, former_w, turn):
            try:
                control.set(limit_w)
                check_honoured(device.uuid, control.read(), limit_w)
                yield
            finally:
                restore(control, device.uuid, former_w)


def check_settable(device: Device, lock: DeviceLock, limits_w: tuple[int, ...]) -> None:
    """Check before the first case that limits can be set, by setting the present limit again.

    Raises:
        UserError: they cannot.
    """
    control = control_of(device.order)
    with lock.exclusive():
        now = control.read()
        known_w = (device.machine.gpu or {}).get("power_limit_w")
        if known_w is not None and other_limit(now.enforced_w, known_w):
            raise UserError(
                f"the power limit of {device.uuid} went from {known_w:g} W to {now.enforced_w:g} W as this run began, "
                "so start it again"
            )
        for limit_w in limits_w:
            if not now.least_w <= limit_w <= now.most_w:
                raise UserError(
                    f"--perf-power-limits: {limit_w:g} W is outside of what {device.uuid} can be limited to, "
                    f"{now.least_w:g} to {now.most_w:g} W"
                )
        control.set(now.set_w)


def check_honoured(uuid: str, now: PowerLimit, limit_w: float) -> None:
    """Refuse to measure under a limit that is not in force.

    Raises:
        UserError: another limit is in force; the message has both.
    """
    if other_limit(now.set_w, limit_w) or other_limit(now.enforced_w, limit_w):
        raise UserError(
            f"{uuid} was limited to {limit_w:g} W, and its driver tells {now.set_w:g} W, of which {now.enforced_w:g} W "
            "are in force; something else limits it, so leave this limit out"
        )


def restore(control: PowerControl, uuid: str, former_w: float) -> None:
    """Restore the former limit.

    Raises:
        UserError: it is not in force afterwards; the message has the command that sets it.
    """
    why = ""
    try:
        control.set(former_w)
        found_w = control.read().set_w
        why = f"the driver tells {found_w:g} W" if other_limit(found_w, former_w) else ""
    except UserError as error:
        why = str(error)
    if why:
        raise UserError(
            f"{uuid} could not be given its former power limit of {former_w:g} W ({why}); set it with: "
            f"nvidia-smi -i {uuid} -pl {former_w:g}"
        )


@contextmanager
def watched(device: Device, former_w: float, turn: int) -> Iterator[None]:
    """Keep a second process ready that restores the limit if this one dies, until the end of the block.

    Args:
        device: the device to restore.
        former_w: the limit to restore.
        turn: the file descriptor that keeps the device locked meanwhile.

    Raises:
        UserError: the process does not start.
    """
    order = json.dumps({"device": dict(device.order), "former_w": former_w})
    watchdog = started(order, turn)
    try:
        if watchdog.stdout is None or watchdog.stdout.readline() != b"ready\n":
            raise UserError("the process that restores the power limit of a killed run does not start")
        yield
    finally:
        with suppress(OSError, subprocess.TimeoutExpired):
            watchdog.communicate(timeout=ANSWER_S)  # closes its standard input, and it ends


def started(order: str, turn: int) -> "subprocess.Popen[bytes]":
    """Start the second process. It has a session of its own, so no signal of this terminal reaches it."""
    path = os.pathsep.join(filter(None, [str(PACKAGE), os.environ.get("PYTHONPATH")]))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "perfgate.measure.power_watchdog", order],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=[turn],
        env=environment,
        start_new_session=True,
    )
