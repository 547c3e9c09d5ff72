"""The protocol between stage and actor: one JSON object a line, over a pair of pipes.

Standard library only: a reference interpreter needs no more than this file, ``workload`` and ``actor``.
"""

import json
import os
import select
import signal
from typing import Any

CHUNK_BYTES = 1 << 16
UNSUPPORTED = "unsupported"  # the reason of a launch that the device or a library cannot do
NO_PROGRAM = "no program"  # the reason of a launch whose program the interpreter lacks


class Channel:
    """One end of a conversation."""

    def __init__(self, read_fd: int, write_fd: int) -> None:
        self.read_fd = read_fd
        self.write_fd = write_fd
        self._buffer = bytearray()
        self._poll = select.poll()
        self._poll.register(read_fd, select.POLLIN)

    def send(self, message: dict[str, Any]) -> None:
        """Write one message.

        Raises:
            BrokenPipeError: the other side is gone.
        """
        data = json.dumps(message).encode() + b"\n"
        while data:
            try:
                data = data[os.write(self.write_fd, data) :]
            except BlockingIOError:  # a connection to another host, whose buffer is full
                select.select([], [self.write_fd], [])

    def receive(self, timeout_s: float | None = None) -> dict[str, Any] | None:
        """Wait for one message; ``None`` when the other side has closed its end.

        A time-out needs a pipe that does not block; where the other side shares the core, its answer is often there by
        the time that ``send`` returns, and reading without asking first saves a call.

        Raises:
            TimeoutError: nothing complete arrived in time.
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
        """Close both pipes; the other side sees the end of file."""
        for fd in (self.read_fd, self.write_fd):
            if fd >= 0:
                os.close(fd)
        self.read_fd = self.write_fd = -1


def describe_exit(code: int) -> str:
    """How a process ended, in words."""
    if code >= 0:
        return f"the process ended with exit code {code}"
    name = signal.Signals(-code).name
    hint = ", often the kernel short of memory" if -code == signal.SIGKILL else ""
    return f"the process was ended by {name}{hint}"
