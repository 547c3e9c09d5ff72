"""Runs pytest and the command line in processes that are forked from one that has already imported them.

Each is a process of its own with its own folder, variables and output, as if a user had started it; only the imports,
a fifth of a short run's time and most of a command's, were done once. Tests that depend on an interpreter's start do
not run in this way: see ``COLD``.
"""

import atexit
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import chdir, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest

if __name__ == "__main__":
    import servers  # this file's folder is then the first on the path
else:
    from tests.support import servers

# An interpreter reads variables with these beginnings when it starts.
COLD = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC", "GLIBC")
# Modules of other processes, and those that look for models in the folder that they are imported in.
LATER = ("perfgate.actor.", "perfgate.reports.lecture.")
REQUEST_BYTES = 1 << 20
# Stored before a test changes them; and such a process is no worker of the run that tests it.
BEFORE_TESTS = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
_of_thread = threading.local()


def read_at_start(environment: Any) -> dict[str, str]:
    """The variables that an interpreter reads when it starts."""
    return {name: value for name, value in environment.items() if name.startswith(COLD)}


def may(variables: Mapping[str, str] = os.environ) -> bool:
    """Whether an interpreter started with these variables would read the same as one started before the tests."""
    return read_at_start(variables) == read_at_start(BEFORE_TESTS)


class Warm:
    """The process that has imported a module and waits for requests.

    Args:
        module: the module for ``python -m``: ``pytest`` or ``perfgate``.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.socket, theirs = socket.socketpair()
        fds = [theirs.fileno(), *servers.forker().fds]
        command = [sys.executable, str(Path(__file__)), module, *map(str, fds)]
        # In a group with its forks, so that all can be ended if one hangs.
        self.process = subprocess.Popen(command, pass_fds=fds, env=BEFORE_TESTS, process_group=0)
        theirs.close()
        atexit.register(self.socket.close)  # closing it ends the process

    def run(
        self,
        arguments: list[str],
        folder: Path,
        variables: Mapping[str, str],
        stdout: Any,
        stderr: Any,
        limit_s: float | None = None,
    ) -> int:
        """Run the module in a separate process; return its exit code, or the negative number of a signal.

        Args:
            arguments: the arguments of the module.
            folder: the folder in which it runs.
            variables: its environment variables.
            stdout: the file for its output.
            stderr: the file for its messages.
            limit_s: the longest time that it may take; then it is ended, together with the waiting process.

        Raises:
            TimeoutError: it took longer.
        """
        request = {"folder": str(folder), "variables": dict(variables), "arguments": arguments}
        socket.send_fds(self.socket, [json.dumps(request).encode()], [stdout.fileno(), stderr.fileno()])
        self.socket.settimeout(limit_s)
        try:
            return int(self.socket.recv(REQUEST_BYTES))
        except TimeoutError:
            os.killpg(self.process.pid, signal.SIGKILL)
            del _of_thread.processes[self.module]
            raise


def warm(module: str) -> Warm:
    """This thread's warm process for a module; it forks one run at a time."""
    processes: dict[str, Warm] = _of_thread.__dict__.setdefault("processes", {})
    return processes.get(module) or processes.setdefault(module, Warm(module))


def command_line(
    arguments: list[str], folder: Path, variables: dict[str, str], limit_s: float
) -> subprocess.CompletedProcess[str]:
    """Run the command line as ``python -m perfgate`` does in a folder, for at most this long."""
    command = [sys.executable, "-m", "perfgate", *arguments]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as stdout,
        tempfile.TemporaryFile("w+", encoding="utf-8") as stderr,
    ):
        code = warm("perfgate").run(arguments, folder, variables, stdout, stderr, limit_s)
        stdout.seek(0)
        stderr.seek(0)
        return subprocess.CompletedProcess(command, code, stdout.read(), stderr.read())


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest as ``pytester.runpytest_subprocess`` does."""
    if not may():
        return pytester.runpytest_subprocess(*arguments)
    base = Path(tempfile.mkdtemp(dir=pytester.path, prefix="runpytest-"))
    output, errors = pytester.path / "stdout", pytester.path / "stderr"
    begin = time.monotonic()
    with output.open("w") as stdout, errors.open("w") as stderr:
        path = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))
        variables = {**os.environ, "PYTHONPATH": path}
        options = [f"--basetemp={base}", *arguments]
        code: int | pytest.ExitCode = warm("pytest").run(options, Path.cwd(), variables, stdout, stderr)
    if code in list(pytest.ExitCode):
        code = pytest.ExitCode(code)
    told = [path.read_text(encoding="utf-8").splitlines() for path in (output, errors)]
    print(*told[0], sep="\n")
    print(*told[1], sep="\n", file=sys.stderr)
    return pytest.RunResult(code, told[0], told[1], time.monotonic() - begin)


def preload(module: str) -> None:
    """Import the modules that a run needs, early or late."""
    if module == "pytest":
        with tempfile.TemporaryDirectory() as folder, chdir(folder), redirect_stdout(io.StringIO()):
            pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", folder])
    import perfgate  # only now, as pytest rewrites it

    for found in pkgutil.walk_packages(perfgate.__path__, "perfgate."):
        if not found.name.startswith(LATER) and not found.name.endswith("__main__"):
            with suppress(ModuleNotFoundError):  # an extra that is not installed here
                importlib.import_module(found.name)


def serve(module: str, connection: socket.socket, forker: Any) -> None:
    """Import the needed modules, then fork a process for each request until nobody asks any more.

    Args:
        module: the module that each process runs.
        connection: the connection for requests.
        forker: makes the forker of these processes' servers, after pytest has imported the modules that it rewrites.
    """
    preload(module)
    forker().install()
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper) and found.__module__.startswith("perfgate."):
            found.cache_clear()
    gc.freeze()
    while True:
        request, fds, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 2)
        if not request:
            return
        process = os.fork()
        if not process:
            connection.close()
            become(module, json.loads(request), *fds)
        for fd in fds:
            os.close(fd)
        connection.sendall(str(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])).encode())


def become(module: str, request: dict[str, Any], stdout: int, stderr: int) -> None:
    """Act as ``python -m`` with the module after its imports."""
    code: Any = 1
    try:
        servers.take_over(request, stdout, stderr)
        sys.argv = [module, *request["arguments"]]
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code or 0))


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    serve(
        sys.argv[1], socket.socket(fileno=int(sys.argv[2])), functools.partial(servers.Forker, *map(int, sys.argv[3:]))
    )
