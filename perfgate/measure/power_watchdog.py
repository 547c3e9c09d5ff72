"""Restores a device's power limit after the process that set it has ended, even if that was killed.

Its argument says what to restore. It prints that it is ready, and waits until its standard input is closed: only the
measuring process holds the other end, and the kernel closes it when that process ends.
"""

import json
import signal
import sys

from perfgate.measure.devices.base import other_limit
from perfgate.measure.devices.power import control_of
from perfgate.measure.power_limit import restore
from perfgate.shared.errors import UserError


def main() -> int:
    """Wait, restore the limit if it differs from the former one, and end."""
    # A signal that asks the run to end reaches all of its processes; this one must outlive the run.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    order = json.loads(sys.argv[1])
    device, former_w = order["device"], order["former_w"]
    try:
        control = control_of(device)
        control.read()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.read()
        if other_limit(control.read().set_w, former_w):
            restore(control, device["uuid"], former_w)
    except UserError as error:
        print(f"perfgate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
