"""The fork server: imports the heavy libraries once, then forks an actor per launch.

``python -m perfgate.actor.server FD MODULE...`` with FD one end of a stream socket. It starts no computing thread and
uses no device, so that a fork is safe; all other modules that a program needs are imported in the actor. Requests are
JSON lines; ``launch`` carries the actor's two pipe ends along.
"""

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any

from perfgate.actor import instruments, process

REAP_GRACE_S = 2.0
PROOF_S = 60.0
MESSAGE_BYTES = 1 << 16
DEVICE_BOUND = ("bitsandbytes",)
DRY_RUN = "perfgate.actor.dry_run.run"
AVAILABILITY = ("transformers.utils.import_utils", "accelerate.utils.imports", "peft.import_utils")


class Server:
    """Forks actors on request and tells how they ended."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.children: set[int] = set()

    def serve(self) -> None:
        """Answer requests until the stage closes its end; then no actor is left."""
        try:
            while True:
                data, fds, _, _ = socket.recv_fds(self.control, MESSAGE_BYTES, 2)
                if not data:
                    return
                request = json.loads(data)
                self.answer(self.perform(request, fds))
        finally:
            for pid in tuple(self.children):
                kill_group(pid)
            self.children.clear()
            self.end_strays()

    def answer(self, message: dict[str, Any]) -> None:
        """Write one line to the stage."""
        self.control.sendall(json.dumps(message).encode() + b"\n")

    def perform(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        """Perform a request; returns the answer."""
        if request["op"] == "launch":
            return self.launch(request, fds)
        if request["op"] == "prove":
            return self.prove(request)
        return self.reap(request["pid"])

    def launch(self, request: dict[str, Any], fds: list[int]) -> dict[str, Any]:
        """Fork an actor that owns the two pipe ends, or start one afresh; returns its process id."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            if request.get("spawn"):
                process.start_afresh(parent, fds[0], fds[1], request["output"])
            process.main(parent, fds[0], fds[1], request["output"])
        for fd in fds:
            os.close(fd)
        self.children.add(pid)
        return {"pid": pid}

    def prove(self, request: dict[str, Any]) -> dict[str, Any]:
        """Test in a temporary child whether a fork can use the device; returns the reason if not, else nothing."""
        parent = os.getpid()
        read_fd, write_fd = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read_fd)
            process.prove(parent, write_fd, request["device"], request["compiled"])
        os.close(write_fd)
        with os.fdopen(read_fd, "rb") as pipe:
            ended = select.select([pipe], [], [], PROOF_S)[0]
            reason = pipe.read().decode(errors="replace") if ended else f"no answer within {PROOF_S:g} s"
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if not reason and ended and os.waitstatus_to_exitcode(status) not in (0, -signal.SIGKILL):
            reason = f"the child ended with status {os.waitstatus_to_exitcode(status)}"
        return {"reason": reason}

    def reap(self, pid: int) -> dict[str, Any]:
        """Wait a moment for an actor to end, then end it and all that it started; returns its wait status."""
        deadline = time.monotonic() + REAP_GRACE_S
        while True:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            if time.monotonic() > deadline:
                kill_group(pid)
                _, status = os.waitpid(pid, 0)
                break
            time.sleep(0.001)
        kill_group(pid)
        self.children.discard(pid)
        if not self.children:
            self.end_strays()
        return {"exit_code": os.waitstatus_to_exitcode(status)}

    def end_strays(self) -> None:
        """Kill processes that left their actor's process group, as daemons do; they are now children of this one."""
        end = time.monotonic() + REAP_GRACE_S
        while strays := [pid for pid in children_here() if pid not in self.children]:
            for pid in strays:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > end:
                return
            time.sleep(0.001)


def children_here() -> list[int]:
    """The process ids of all children of this process's first thread; empty if the kernel does not list them."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def kill_group(pid: int) -> None:
    """Kill an actor and all that it started (an actor leads a process group of its own)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


class NotImported(Exception):  # noqa: N818  an answer, not an error
    """A module cannot be imported; its cause is the reason."""

    def __init__(self, module: str) -> None:
        super().__init__(module)
        self.module = module


def preload(modules: list[str]) -> None:
    """Import the modules.

    Raises:
        NotImported: a module cannot be imported; the message names it.
    """
    gc.disable()  # little of the imported data is garbage, and looking for it takes a tenth of the time
    try:
        with hidden(DEVICE_BOUND):
            for name in modules:
                try:
                    importlib.import_module(name)
                except Exception as error:
                    raise NotImported(name) from error
            if "torch" in sys.modules:  # otherwise each actor that runs dry would import it, which takes seconds
                with contextlib.suppress(ImportError):
                    importlib.import_module(DRY_RUN)
            instruments.own()  # each actor would import them, which takes a tenth of a second
    finally:
        gc.enable()


@contextlib.contextmanager
def hidden(packages: tuple[str, ...]) -> Iterator[None]:
    """Within the block, let packages look as if they were not installed; after it they can be imported.

    Args:
        packages: packages that choose their kernels once, by the device that they find at import.
    """
    absent: Any = None  # the import system's sign for a missing module
    put = [name for name in packages if name not in sys.modules]
    sys.modules.update(dict.fromkeys(put, absent))
    try:
        yield
    finally:
        for name in put:
            del sys.modules[name]
        for module in filter(None, map(sys.modules.get, AVAILABILITY)):
            for name, value in vars(module).items():
                if "available" in name and hasattr(value, "cache_clear"):
                    value.cache_clear()


def main() -> None:
    """Import, report ready, serve."""
    process.look_there_too()
    process.adopt()
    control = socket.socket(fileno=int(sys.argv[1]))
    server = Server(control)
    try:
        preload(sys.argv[2:])
    except NotImported as error:
        cause = error.__cause__
        traceback.print_exception(cause)
        server.answer({"error": f"{type(cause).__name__}: {cause}", "module": error.module})
        return
    except BaseException as error:
        traceback.print_exc()
        server.answer({"error": f"{type(error).__name__}: {error}"})
        return
    gc.collect()
    gc.freeze()
    server.answer({"ready": True})
    server.serve()


if __name__ == "__main__":
    main()
