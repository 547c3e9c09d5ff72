"""Runs over several hosts: start ``torchrun --nnodes 2 ... -m perfgate.cli.hosts PYTEST-ARGUMENTS`` on each of them.

The first worker of torchrun runs pytest. Every other worker waits until a launch needs a rank, joins it, and waits
again. Nothing is encrypted, so use a network that you trust, as for ``torch.distributed``.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from perfgate.shared.device_kinds import built_for
from perfgate.shared.parsing import whole
from perfgate.system.child_env import QUIET, keeping_pages
from perfgate.system.hosts import JOIN, Hosts
from perfgate.system.provenance import software
from perfgate.workloads.programs import TRAINING, modules_of

PORT = 29600
# The variables that torchrun sets (https://docs.pytorch.org/docs/stable/elastic/run.html). They are removed, because
# libraries would take a launch of a single process for one of torchrun's ranks.
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "TORCHELASTIC_")
DISMISS_S = 60.0


def main(arguments: Sequence[str]) -> int:
    """Run pytest if this is the first worker, otherwise serve as a rank of its launches; returns the exit code."""
    told = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(TORCHRUN)}
    if "MASTER_ADDR" not in told:
        print(
            "perfgate.cli.hosts: torchrun did not start this process; run torchrun --nnodes N --nproc-per-node M ... "
            "-m perfgate.cli.hosts on each host, as in docs/distributed.md",
            file=sys.stderr,
        )
        return 2
    port = whole(named := os.environ.get("PERFGATE_JOIN_PORT", str(PORT)))
    if port is None:
        print(f"perfgate.cli.hosts: PERFGATE_JOIN_PORT is {named!r}; it must be the number of a port", file=sys.stderr)
        return 2
    hosts = Hosts(told["MASTER_ADDR"], port, int(told["WORLD_SIZE"]), int(told["GROUP_WORLD_SIZE"]))
    if told["RANK"] != "0":
        place = [told[name] for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")]
        joiner = [sys.executable, "-m", "perfgate.actor.join", hosts.address, str(port), *place, *modules_of(TRAINING)]
        # The GPUs are hidden from this process; an actor makes its own GPU visible again.
        variable = built_for(software().get("torch", "")).visible
        seen = {"PERFGATE_VISIBLE": os.environ.get(variable, "")}
        return subprocess.run(joiner, env=os.environ | seen | QUIET | keeping_pages(), check=False).returncode
    try:
        here = os.environ | {JOIN: json.dumps(hosts.to_json())}
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=here, check=False).returncode
    finally:
        dismiss(hosts)


def dismiss(hosts: Hosts) -> None:
    """Tell the other workers that there are no more launches; a worker that does not connect has already ended."""
    with suppress(TimeoutError), socket.create_server(("", hosts.port)) as listener:
        listener.settimeout(DISMISS_S)
        for _ in range(hosts.ranks - 1):
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(b'{"end": true}\n')


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
