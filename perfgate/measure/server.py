"""The parent's handle on a fork server."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from perfgate.measure.actor import Actor
from perfgate.shared.errors import UserError
from perfgate.shared.wire import SCRATCH, Channel
from perfgate.system.child_env import QUIET, keeping_pages, on_path

TAIL_BYTES = 1 << 16
TAIL_LINES = 15
NO_MODULE = re.compile(r"No module named '(\w+)")
START_TIMEOUT_S = 300.0
ANSWER_TIMEOUT_S = 60.0
PROOF_TIMEOUT_S = 90.0


class Server:
    """An interpreter that has imported what the programs need and forks an actor per launch.

    Args:
        name: the name of the server in run files.
        preload: modules to import before the first fork.
        folder: the folder for the outputs of the server and of its actors.
        python: the path of the interpreter.
        path: folders to put first on its import path, if it runs other code than this process.
        after: folders to put last on its import path.
        environment: the variables by which its processes reach the device.

    Raises:
        UserError: the interpreter does not start.
    """

    def __init__(
        self,
        name: str,
        preload: Sequence[str],
        folder: Path,
        python: str | Path = sys.executable,
        path: Sequence[str] = (),
        after: Sequence[str] = (),
        environment: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.name = name
        self.python = str(python)
        self.folder = folder
        self.output = folder / f"{name}.txt"
        self._launches = 0
        # A reference needs no Perfgate, because a copy of the actor's side is put on its path.
        self._apart = bool(path)
        self._wanted = "torch transformers accelerate datasets" if path else "'perfgate[hf]'"
        self._after = tuple(after)
        self._unreached: dict[bool, str] = {}
        self._control, theirs = socket.socketpair()
        scratch = {SCRATCH: str(folder.absolute())}
        with theirs, self.output.open("ab") as output:
            try:
                command = [self.python, "-m", "perfgate.actor.server", str(theirs.fileno()), *preload]
                own = QUIET | keeping_pages() | on_path(path, after) | scratch
                self._process = start(command, output, theirs, os.environ | own | dict(environment))
            except OSError as error:
                self._control.close()
                raise UserError(f"{self.python} does not start: {error.strerror}") from None

    def wait_ready(self) -> None:
        """Wait until the imports are done.

        Raises:
            UserError: the imports failed.
        """
        answer = self._receive(START_TIMEOUT_S)
        if answer is None or "error" in answer:
            reason = (answer or {}).get("error", "it ended while starting")
            module = (answer or {}).get("module", "perfgate")
            if module.partition(".")[0] != "perfgate":
                raise UserError(
                    f"perf_preload names {module}, which {self.python} cannot import: {reason}; it finds modules in "
                    f"{', '.join(self._after) or 'no folder of yours'}, and among its own packages",
                    "" if f"No module named {module!r}" in reason else tail(self.output),
                )
            absent = NO_MODULE.search(reason)
            wanted = absent[1] if absent and self._apart else self._wanted
            raise UserError(
                f"the programs cannot be imported by {self.python}: {reason}; install what they need with "
                f"{self.python} -m pip install {wanted}",
                tail(self.output),
            )

    def unreached(self, device: Mapping[str, Any], compiled: bool) -> str:
        """The reason why a fork of this server cannot use the device; empty if it can. It is tried once, in a child.

        Args:
            device: the part of an actor's order that names the device.
            compiled: whether to try a compiled program too, because its compiler calls the driver by itself.
        """
        if compiled not in self._unreached:
            request = {"op": "prove", "device": dict(device), "compiled": compiled}
            answer = self._ask(request, PROOF_TIMEOUT_S)
            self._unreached[compiled] = str(answer["reason"]) if answer else "the fork server ended"
        return self._unreached[compiled]

    def launch(self, spawn: bool = False) -> Actor:
        """Fork an actor, which then waits for its order; or spawn one in a fresh interpreter with its own imports."""
        self._launches += 1
        output = self.folder / f"{self.name}-actor-{self._launches}.txt"
        their_read, our_write = os.pipe()
        our_read, their_write = os.pipe()
        try:
            request = {"op": "launch", "output": str(output), "spawn": spawn}
            answer = self._ask(request, ANSWER_TIMEOUT_S, [their_read, their_write])
        finally:
            os.close(their_read)
            os.close(their_write)
        os.set_blocking(our_read, False)
        if answer is None:
            os.close(our_read)
            os.close(our_write)
            raise UserError(f"fork server {self.name} ended", tail(self.output))
        return Actor(answer["pid"], Channel(our_read, our_write), output, self.reap)

    def reap(self, pid: int) -> int:
        """Collect an actor that has ended, or kill it; return its exit code, which is negative for a signal."""
        answer = self._ask({"op": "reap", "pid": pid}, ANSWER_TIMEOUT_S)
        return int(answer["exit_code"]) if answer else -signal.SIGKILL

    def _ask(self, request: dict[str, Any], timeout_s: float, fds: Sequence[int] = ()) -> dict[str, Any] | None:
        """Send a request, perhaps with file descriptors; return the answer, or ``None`` if the server has ended."""
        try:
            data = json.dumps(request).encode()
            if fds:
                socket.send_fds(self._control, [data], fds)
            else:
                self._control.sendall(data)
        except OSError:  # the server's end is closed
            return None
        return self._receive(timeout_s)

    def _receive(self, timeout_s: float) -> dict[str, Any] | None:
        self._control.settimeout(timeout_s)
        data = b""
        while not data.endswith(b"\n"):
            try:
                chunk = self._control.recv(1 << 16)
            except TimeoutError:
                raise UserError(f"fork server {self.name} gave no answer in {timeout_s:g} s") from None
            except ConnectionError:
                return None
            if not chunk:
                return None
            data += chunk
        answer: dict[str, Any] = json.loads(data)
        return answer

    def close(self) -> None:
        """End the server and all its actors."""
        self._control.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start(
    command: Sequence[str], output: IO[bytes], control: socket.socket, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own.

    Args:
        command: the command, which names ``control`` by its number.
        output: the file for its output.
        control: its end of the connection, which it inherits.
        environment: its environment variables.

    Raises:
        OSError: the interpreter does not start.
    """
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=[control.fileno()],
        env=environment,
        start_new_session=True,
    )


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of an output file, from at most its last few kilobytes; empty if the file does not exist."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - TAIL_BYTES, 0))
            text = file.read(TAIL_BYTES).decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.strip().splitlines()[-lines:])
