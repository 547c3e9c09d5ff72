"""The messages between the stage and its actors: one JSON object a line, over a pair of pipes.

This module uses the standard library only, so that an interpreter without Perfgate can run an actor.
"""

import json
import os
import select
import signal
from typing import Any

CHUNK_BYTES = 1 << 16
UNSUPPORTED = "unsupported"  # the reason of a launch that the device or a library does not support
NOT_EMULATED = "not emulated"  # the reason of a launch that needs what an emulated card does not have
SCRATCH = "PERFGATE_SCRATCH"  # the variable that names a folder where actors may leave files until the run ends
NO_PROGRAM = "no program"  # the reason of a launch whose program the interpreter lacks


class Channel:
    """One end of the connection between two processes."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        self._buffer = bytearray()
        self._poll = select.poll()
        self._poll.register(read_fd, select.POLLIN)

    def send(self, message: dict[str, Any]) -> None:
        """Send one message.

        Raises:
            BrokenPipeError: the other process has ended.
        """
        data = json.dumps(message).encode() + b"\n"
        while data:
            try:
                data = data[os.write(self.write_fd, data) :]
            except BlockingIOError:  # a connection to another host, whose buffer is full
                select.select([], [self.write_fd], [])

    def receive(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """Wait for one message; ``None`` if the other process has closed its end.

        A time-out works only if the pipe does not block. The pipe is read before it is polled: a process on the same
        core has often answered before ``send`` returns, and reading first saves a system call.

        Raises:
            TimeoutError: no complete message arrived in time.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            try:
                chunk = os.read(self.read_fd, CHUNK_BYTES)
            except ConnectionResetError:
                return None
            except BlockingIOError:
                if not self._poll.poll(None if timeout_s is None else timeout_s * 1000):
                    raise TimeoutError(f"no answer within {timeout_s:g} s") from None
                continue
            if not chunk:
                return None
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        """Close both pipes; the other process then reads the end of the file."""
        for fd in (self.read_fd, self.write_fd):
            if fd >= 0:
                os.close(fd)
        self.read_fd = self.write_fd = -1


def describe_exit(code: int) -> str:
    """Say how a process ended, given its exit code."""
    if code >= 0:
        return f"the process ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = ", which the kernel often does when it runs out of memory" if -code == signal.SIGKILL else ""
    return f"the process was ended by {name}{hint}"
