"""Restores a device's power limit after the process that set it has ended, even if that was killed.

It gets what to restore as its argument, says that it is ready, and waits until its standard input is closed: the other
end is held by that process alone, and the kernel closes it together with the process.
"""

import json
import signal
import sys

from perfgate.measure.devices.base import other_limit
from perfgate.measure.devices.power import control_of
from perfgate.measure.power_limit import restore
from perfgate.shared.errors import UserError


def main() -> int:
    """Wait, restore the limit if it is not the former one yet, and end."""
    # Whoever asks the run to end asks all of its processes; this one ends after the run.
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
