"""Runs pytest in processes that are forked from one that has imported it already.

Each is a process of its own with its own folder, variables and output, as if a user had started it; only the imports,
a fifth of a short run's time, were done once. What depends on how an interpreter starts is not run so: see ``COLD``.
"""

import atexit
import functools
import gc
import io
import json
import os
import runpy
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

# An interpreter reads variables with these beginnings when it starts.
COLD = ("PYTHON", "LD_", "LC_", "LANG", "MALLOC", "GLIBC")
REQUEST_BYTES = 1 << 20
# Before a test changes them; and a process is no worker of the run that tests it.
BEFORE_TESTS = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}


def read_at_start(environment: Any) -> dict[str, str]:
    """The variables that an interpreter reads when it starts."""
    return {name: value for name, value in environment.items() if name.startswith(COLD)}


class Warm:
    """The process that has imported pytest and waits."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(theirs.fileno())], pass_fds=[theirs.fileno()], env=BEFORE_TESTS
        )
        theirs.close()
        atexit.register(self.socket.close)  # at which the process ends

    def run(self, arguments: list[str], stdout: Any, stderr: Any) -> int:
        """Run pytest with these arguments, in this process's folder and with its variables; return the exit code."""
        path = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH", "")]))
        request = {"folder": str(Path.cwd()), "variables": {**os.environ, "PYTHONPATH": path}, "arguments": arguments}
        socket.send_fds(self.socket, [json.dumps(request).encode()], [stdout.fileno(), stderr.fileno()])
        return int(self.socket.recv(REQUEST_BYTES))


@functools.cache
def warm() -> Warm:
    """This process's one."""
    return Warm()


def run(pytester: pytest.Pytester, *arguments: str) -> pytest.RunResult:
    """Run pytest as ``pytester.runpytest_subprocess`` does."""
    if read_at_start(os.environ) != read_at_start(BEFORE_TESTS):
        return pytester.runpytest_subprocess(*arguments)
    base = Path(tempfile.mkdtemp(dir=pytester.path, prefix="runpytest-"))
    output, errors = pytester.path / "stdout", pytester.path / "stderr"
    begin = time.monotonic()
    with output.open("w") as stdout, errors.open("w") as stderr:
        code: int | pytest.ExitCode = warm().run([f"--basetemp={base}", *arguments], stdout, stderr)
    if code in list(pytest.ExitCode):
        code = pytest.ExitCode(code)
    told = [path.read_text(encoding="utf-8").splitlines() for path in (output, errors)]
    print(*told[0], sep="\n")
    print(*told[1], sep="\n", file=sys.stderr)
    return pytest.RunResult(code, told[0], told[1], time.monotonic() - begin)


def serve(connection: socket.socket) -> None:
    """Import what a run imports, then fork a process for each request until nobody asks any more."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with redirect_stdout(io.StringIO()):
            pytest.main(["--collect-only", "-q", "-p", "no:cacheprovider", folder])
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
            become(json.loads(request), *fds)
        for fd in fds:
            os.close(fd)
        connection.sendall(str(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])).encode())


def become(request: dict[str, Any], stdout: int, stderr: int) -> None:
    """Be what ``python -m pytest`` would be after its imports."""
    code: Any = 1
    try:
        for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (stdout, 1), (stderr, 2)):
            os.dup2(source, target)
            os.close(source)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["variables"])
        time.tzset()
        sys.path[:0] = [request["folder"], *request["variables"]["PYTHONPATH"].split(os.pathsep)]
        sys.argv = ["pytest", *request["arguments"]]
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(code or 0))


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    serve(socket.socket(fileno=int(sys.argv[1])))
