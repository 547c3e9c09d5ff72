"""Ranks on several hosts: ``torchrun --nnodes 2 ... -m perfgate.hosts PYTEST-ARGUMENTS`` on each of them.

The first of torchrun's workers runs pytest; each other one waits to be asked for a rank of a launch, as often as there
are launches. The network between them must be as trusted as ``torch.distributed`` wants it: nothing is encrypted.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

from perfgate.shared.device_kinds import built_for
from perfgate.system.child_env import QUIET, keeping_pages
from perfgate.system.hosts import JOIN, Hosts
from perfgate.system.provenance import software
from perfgate.workloads.programs import TRAINING, modules_of

PORT = 29600
# What torchrun sets (https://docs.pytorch.org/docs/stable/elastic/run.html); libraries would take a launch of one
# process for one of its ranks.
TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_", "GROUP_", "ROLE_", "MASTER_", "TORCHELASTIC_")
DISMISS_S = 60.0


def main(arguments: Sequence[str]) -> int:
    """Run pytest, or be one of the ranks that its launches are joined by; returns the exit code."""
    told = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(TORCHRUN)}
    if "MASTER_ADDR" not in told:
        print("perfgate.hosts: start it with torchrun on each host, as docs/distributed.md says", file=sys.stderr)
        return 2
    port = int(os.environ.get("PERFGATE_JOIN_PORT", PORT))
    hosts = Hosts(told["MASTER_ADDR"], port, int(told["WORLD_SIZE"]), int(told["GROUP_WORLD_SIZE"]))
    if told["RANK"] != "0":
        place = [told[name] for name in ("RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")]
        joiner = [sys.executable, "-m", "perfgate.actor.join", hosts.address, str(port), *place, *modules_of(TRAINING)]
        # An actor makes GPUs visible again when it takes its own.
        variable = built_for(software().get("torch", "")).visible
        seen = {"PERFGATE_VISIBLE": os.environ.get(variable, "")}
        return subprocess.run(joiner, env=os.environ | seen | QUIET | keeping_pages(), check=False).returncode
    try:
        here = os.environ | {JOIN: json.dumps(hosts.to_json())}
        return subprocess.run([sys.executable, "-m", "pytest", *arguments], env=here, check=False).returncode
    finally:
        dismiss(hosts)


def dismiss(hosts: Hosts) -> None:
    """Tell the others that there will be no more launches; one that does not come by has ended already."""
    with suppress(TimeoutError), socket.create_server(("", hosts.port)) as listener:
        listener.settimeout(DISMISS_S)
        for _ in range(hosts.ranks - 1):
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(b'{"end": true}\n')


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
