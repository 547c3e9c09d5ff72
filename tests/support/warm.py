"""Runs pytest and the command line in processes that are forked from one that has imported them already.

Each is a process of its own with its own folder, variables and output, as if a user had started it; only the imports,
a fifth of a short run's time and most of a command's, were done once. What depends on how an interpreter starts is not
run so: see ``COLD``.
"""

import atexit
import functools
import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

if __name__ == "__main__":
    import servers  # this file's folder is the first on the path then
else:
    from tests.support import servers

# An interpreter reads variables with these beginnings when it starts.
COLD = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC", "GLIBC")
REQUEST_BYTES = 1 << 20
# Before a test changes them; and a process is no worker of the run that tests it.
BEFORE_TESTS = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def read_at_start(environment: Any) -> dict[str, str]:
    """The variables that an interpreter reads when it starts."""
    return {name: value for name, value in environment.items() if name.startswith(COLD)}


def may() -> bool:
    """Whether an interpreter that started now would read what one that started before the tests has read."""
    return read_at_start(os.environ) == read_at_start(BEFORE_TESTS)


class Warm:
    """The process that has imported a module's program and waits.

    Args:
        module: that ``python -m`` runs: ``pytest`` or ``perfgate``.
    """

    def __init__(self, module: str) -> None:
        self.socket, theirs = socket.socketpair()
        fds = [theirs.fileno(), servers.forker().connection.fileno()]
        command = [sys.executable, str(Path(__file__)), module, *map(str, fds)]
        # In a group with what it forks, so that both can be ended where that hangs.
        self.process = subprocess.Popen(command, pass_fds=fds, env=BEFORE_TESTS, process_group=0)
        theirs.close()
        atexit.register(self.socket.close)  # at which the process ends

    def run(
        self, arguments: list[str], folder: Path, path: str, stdout: Any, stderr: Any, limit_s: float | None = None
    ) -> int:
        """Run the module with this process's variables; return the exit code, or the negative number of a signal.

        Args:
            arguments: of the module.
            folder: that it runs in.
            path: its ``PYTHONPATH``.
            stdout: a file that its output goes to.
            stderr: a file that its messages go to.
            limit_s: the longest time that it may take; it is ended then, with the process that waits.

        Raises:
            TimeoutError: it took longer.
        """
        request = {"folder": str(folder), "variables": {**os.environ, "PYTHONPATH": path}, "arguments": arguments}
        socket.send_fds(self.socket, [json.dumps(request).encode()], [stdout.fileno(), stderr.fileno()])
        self.socket.settimeout(limit_s)
        try:
            return int(self.socket.recv(REQUEST_BYTES))
        except TimeoutError:
            os.killpg(self.process.pid, signal.SIGKILL)
            warm.cache_clear()
            raise


@functools.cache
def warm(module: str) -> Warm:
    """This process's one."""
    return Warm(module)


def command_line(arguments: list[str], folder: Path, limit_s: float) -> subprocess.CompletedProcess[str]:
    """Run the command line, as ``python -m perfgate`` does in a folder, for so long at most."""
    command = [sys.executable, "-m", "perfgate", *arguments]
    path = os.environ.get("PYTHONPATH", "")
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8") as stdout,
        tempfile.TemporaryFile("w+", encoding="utf-8") as stderr,
    ):
        code = warm("perfgate").run(arguments, folder, path, stdout, stderr, limit_s)
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
        options = [f"--basetemp={base}", *arguments]
        code: int | pytest.ExitCode = warm("pytest").run(options, Path.cwd(), path, stdout, stderr)
    if code in list(pytest.ExitCode):
        code = pytest.ExitCode(code)
    told = [path.read_text(encoding="utf-8").splitlines() for path in (output, errors)]
    print(*told[0], sep="\n")
    print(*told[1], sep="\n", file=sys.stderr)
    return pytest.RunResult(code, told[0], told[1], time.monotonic() - begin)


def preload(module: str) -> None:
    """Import what a run of a module imports."""
    if module == "pytest":
        with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
            os.chdir(folder)
            pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", folder])
        return
    from perfgate.cli.main import COMMANDS

    for name in ("pandas", *(f"perfgate.cli.{command.replace('-', '_')}" for command in COMMANDS)):
        importlib.import_module(name)


def serve(module: str, connection: socket.socket, forker: Any) -> None:
    """Import what is needed, then fork a process for each request until nobody asks any more.

    Args:
        module: that each process runs.
        connection: where requests come from.
        forker: makes what forks the servers of these processes, after pytest has imported what it rewrites.
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
    """Be what ``python -m`` with the module would be after its imports."""
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
    serve(sys.argv[1], socket.socket(fileno=int(sys.argv[2])), functools.partial(servers.Forker, int(sys.argv[3])))
