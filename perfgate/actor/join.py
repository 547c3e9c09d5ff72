"""A process on another host that provides one rank for each launch; ``perfgate.cli.hosts`` starts it.

``python -m perfgate.actor.join ADDRESS PORT RANK LOCAL_RANK LOCAL_WORLD_SIZE MODULE...`` imports the modules once, then
connects to the first host again and again. If a launch is waiting there, it forks an actor that uses the connection. If
the run has ended, it ends too.
"""

import gc
import json
import os
import select
import socket
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from perfgate.actor import process
from perfgate.actor.server import kill_group, preload

RETRY_S = 0.1
CONNECT_S = 5.0
PATIENCE_S = 600.0


class Joiner:
    """Joins one launch after the other.

    Args:
        address: the host that runs pytest, and the port on which launches wait.
        hello: the message about this rank to a launch.
    """

    def __init__(self, address: tuple[str, int], hello: dict[str, Any]) -> None:
        self._address = address
        self._hello = json.dumps(hello).encode() + b"\n"
        self._folder = Path(tempfile.mkdtemp(prefix="perfgate-join-"))
        self._actors: dict[int, tuple[socket.socket, Path]] = {}
        self._launches = 0

    def run(self) -> int:
        """Join until the run ends or the first host was silent for too long; return the exit code."""
        heard_s = time.monotonic()
        while time.monotonic() < heard_s + PATIENCE_S:
            self._look_after()
            try:
                connection = socket.create_connection(self._address, CONNECT_S)
                answer = self._greet(connection)
            except OSError:
                answer = {}
            if answer.get("end"):
                return 0
            if answer.get("go"):
                self._fork(connection)
                heard_s = time.monotonic()
            else:
                time.sleep(RETRY_S)
        print(f"perfgate: nobody at {self._address[0]} has asked for this rank for {PATIENCE_S:g} s", file=sys.stderr)
        return 1

    def _greet(self, connection: socket.socket) -> dict[str, Any]:
        """Send the message about this rank and return the answer. Nothing after the answer's line may be read here."""
        connection.settimeout(None)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        connection.sendall(self._hello)
        line = b""
        while not line.endswith(b"\n"):
            byte = connection.recv(1)
            if not byte:
                return {}
            line += byte
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _fork(self, connection: socket.socket) -> None:
        """Fork an actor that uses the connection."""
        self._launches += 1
        output = self._folder / f"{self._launches}.txt"
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            process.main(parent, connection.fileno(), connection.fileno(), str(output))
        self._actors[pid] = connection, output

    def _look_after(self) -> None:
        """Collect actors that have ended, and end the actors of launches that have ended."""
        for pid, (connection, output) in list(self._actors.items()):
            left = select.poll()
            left.register(connection, select.POLLRDHUP)
            if left.poll(0):
                kill_group(pid)
            done, status = os.waitpid(pid, 0 if left.poll(0) else os.WNOHANG)
            if done:
                del self._actors[pid]
                connection.close()
                if os.waitstatus_to_exitcode(status) > 0:
                    print(output.read_text(errors="replace"), flush=True)
                output.unlink(missing_ok=True)


def main() -> int:
    """Import the modules, then join launches; return the exit code."""
    address, port, *numbers = sys.argv[1:6]
    rank, local_rank, local_size = map(int, numbers)
    preload(sys.argv[6:])
    gc.collect()
    gc.freeze()
    cores = sorted(os.sched_getaffinity(0), reverse=True) if hasattr(os, "sched_getaffinity") else [0]
    hello = {
        "rank": rank,
        "local_rank": local_rank,
        "local_world_size": local_size,
        "visible": os.environ.get("PERFGATE_VISIBLE") or ",".join(map(str, range(local_size))),
        "core": cores[local_rank % len(cores)],
    }
    return Joiner((address, int(port)), hello).run()


if __name__ == "__main__":
    sys.exit(main())
