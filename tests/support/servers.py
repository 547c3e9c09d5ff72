"""Fork servers for tests, forked from a process that has imported what they need.

With torch and transformers that takes a server ten seconds and more of processor time, and a third of a second without
them, which every run of a suite would pay. A server that is forked has a folder, variables, an output and a session of
its own, as one that was started has. Servers that run another interpreter or other code, or that have variables which a
library may read when it is imported, are started as they are outside of tests.
"""

import contextlib
import functools
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

IMPORTED = ("training.trainer", "training.accelerate", "generation", "forward")
YARDSTICK = "perfgate.actor.yardsticks.cpu"
# Files with these names in a suite's own folders would be imported in place of the libraries.
LIBRARIES = ("torch", "transformers", "accelerate", "datasets", "diffusers", "peft", "tokenizers", "safetensors")
AT_START = ("sitecustomize", "usercustomize")
# Variables that differ from run to run, and that no library reads while it is imported.
LATER = ("PERFGATE_", "PYTEST_", "PERF_", "PYTHONPATH", "HOME", "USERPROFILE", "PWD", "GITHUB_", "PY_COLORS", "_")
MESSAGE_BYTES = 1 << 18
OWN = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


class Forked:
    """A forked server, with the methods of ``subprocess.Popen`` that are needed.

    Args:
        connection: reports the server's process id, and its exit code as soon as it has ended.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.pid = int(connection.recv(MESSAGE_BYTES))
        self.returncode: int | None = None

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended; return its exit code, or the negative number of a signal."""
        if self.returncode is None:
            self._connection.settimeout(timeout)
            try:
                self.returncode = int(self._connection.recv(MESSAGE_BYTES) or -signal.SIGKILL)
            except TimeoutError:
                raise subprocess.TimeoutExpired("a forked server", timeout or 0) from None
            self._connection.close()
        return self.returncode

    def kill(self) -> None:
        """Send it SIGKILL."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)


class Forker:
    """The connections to two processes that fork servers: one has imported the libraries, and one has not.

    Neither imports anything before the first server is asked for.

    Args:
        fds: the numbers of connections to two such processes of another process; by default new ones are started.
    """

    def __init__(self, *fds: int) -> None:
        from perfgate.system.child_env import QUIET, keeping_pages

        self.variables = OWN | QUIET | keeping_pages()
        if fds:
            self.light, self.heavy = (socket.socket(fileno=fd) for fd in fds)
        else:
            self.light, self.heavy = self.begin("light"), self.begin("heavy")

    def begin(self, weight: str) -> socket.socket:
        """Start a process that forks servers; return the connection to it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, __file__, weight, str(theirs.fileno())]
            subprocess.Popen(command, pass_fds=[theirs.fileno()], env=self.variables, start_new_session=True)
        return ours

    @property
    def fds(self) -> tuple[int, int]:
        """The numbers of its two connections."""
        return self.light.fileno(), self.heavy.fileno()

    def install(self) -> None:
        """Make this process's pools get their servers from here."""
        from perfgate.measure import server

        server.start = functools.partial(self.start, server.start)

    def start(
        self,
        afresh: Any,
        command: Sequence[str],
        output: IO[bytes],
        control: socket.socket,
        environment: Mapping[str, str],
    ) -> Any:
        """Fork a server, or start it ``afresh``; the other arguments are those of ``perfgate.measure.server.start``."""
        modules = list(command[command.index("perfgate.actor.server") + 2 :])
        connection = self.source(modules, environment)
        if command[0] != sys.executable or connection is None:
            return afresh(command, output, control, environment)
        request = {"modules": modules, "folder": str(Path.cwd()), "variables": dict(environment)}
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            fds = [control.fileno(), output.fileno(), theirs.fileno()]
            socket.send_fds(connection, [json.dumps(request).encode()], fds)
        return Forked(ours)

    def source(self, modules: Sequence[str], environment: Mapping[str, str]) -> socket.socket | None:
        """The process to fork a server from: one that has imported what this server would import, or none."""
        from perfgate.workloads.programs import DRY_RUN, modules_of

        folders = [Path.cwd(), *map(Path, filter(None, environment.get("PYTHONPATH", "").split(os.pathsep)))]
        own = {path.name.removesuffix(".py") for folder in folders if folder.is_dir() for path in folder.iterdir()}
        if fixed(environment) != fixed(self.variables) or own & {*LIBRARIES, *AT_START}:
            return None
        return self.heavy if {DRY_RUN, *modules_of(IMPORTED)} & set(modules) else self.light


def fixed(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables that must be equal in a forked server and in the process that it is forked from."""
    return {name: value for name, value in variables.items() if not name.startswith(LATER)}


@functools.cache
def forker() -> Forker:
    """The forker of this process."""
    return Forker()


def serve(weight: str, connection: socket.socket) -> None:
    """Fork a server for each request until nobody is left to ask.

    Args:
        weight: ``heavy`` for servers of programs that need the libraries, else ``light``.
        connection: where requests come from.
    """
    imported = False
    while True:
        message, fds, _, _ = socket.recv_fds(connection, MESSAGE_BYTES, 3)
        if not message:
            return
        if not imported:
            from perfgate.actor.server import preload
            from perfgate.workloads.programs import modules_of

            preload([*modules_of(IMPORTED)] if weight == "heavy" else [YARDSTICK])
            gc.collect()
            gc.freeze()  # else each server would look through it again, which takes a second
            imported = True
        if not os.fork():
            connection.close()
            look_after(json.loads(message), *fds)
        for fd in fds:
            os.close(fd)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def look_after(request: dict[str, Any], control: int, output: int, ended: int) -> None:
    """Fork the server, report its process id, wait for its end, report its exit code."""
    code = 1
    try:
        server = os.fork()
        if not server:
            os.close(ended)
            become(request, control, output)
        for fd in (control, output):
            os.close(fd)
        with socket.socket(fileno=ended) as connection, contextlib.suppress(BrokenPipeError):
            connection.sendall(str(server).encode())
            code = os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])
            connection.sendall(str(code).encode())
    finally:
        os._exit(0)


def take_over(request: dict[str, Any], stdout: int, stderr: int) -> None:
    """Give this process a started one's state: the request's folder, variables and import path, and its outputs."""
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (stdout, 1), (stderr, 2)):
        os.dup2(source, target)
    for source in {null, stdout, stderr}:
        os.close(source)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["variables"])
    time.tzset()
    tempfile.tempdir = None  # it was found by the variables of the process that forked
    path = request["variables"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [request["folder"], *filter(None, path)]


def become(request: dict[str, Any], control: int, output: int) -> None:
    """Act as ``python -m perfgate.actor.server`` after imports that were already done."""
    code = 1
    try:
        os.setsid()
        take_over(request, output, output)
        # A started server reads its folder while it imports this module.
        if places := sys.modules.get("perfgate.actor.dry_run.places"):
            places.ROOT = request["folder"]  # type: ignore[attr-defined]
        sys.argv = ["perfgate.actor.server", str(control), *request["modules"]]
        from perfgate.actor import server

        server.main()
        code = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
