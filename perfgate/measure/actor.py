"""The parent's handle on an actor, the process that holds one program."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from perfgate.shared.wire import NOT_EMULATED, UNSUPPORTED, Channel, describe_exit

LOOK_S = 1.0  # seconds between two checks of an actor's output
OUTPUT_BYTES = 64 << 20  # an actor's output is cut when it is larger than this
KEPT_BYTES = 1 << 16


class LaunchFailed(Exception):  # noqa: N818  a result of the launch, not an error of the stage
    """An actor died, ran out of memory, hung, or computed something that is not finite.

    Attributes:
        reason: a line for the run file.
        fault: whether the program caused it, and not the machine.
        output: the file with the actor's output.
        final: whether another launch would end in the same way.
    """

    def __init__(self, reason: str, output: Path, fault: bool = True, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.output = output
        self.fault = fault
        self.final = final


class Actor:
    """One forked process that holds one program."""

    def __init__(self, pid: int, channel: Channel, output: Path, reap: Callable[[int], int]) -> None:
        self.pid = pid
        self.output = output
        self._channel = channel
        self._reap = reap
        self._alive = True

    def ask(self, message: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a message and wait for its answer.

        Raises:
            LaunchFailed: the actor failed or did not answer; it has been ended.
        """
        self.tell(message)
        return self.answer(timeout_s)

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message without waiting for its answer."""
        with suppress(BrokenPipeError):  # the actor may have ended, and its error must still be read
            self._channel.send(message)

    def answer(self, timeout_s: float) -> dict[str, Any]:
        """Wait for the answer to the last message.

        Raises:
            LaunchFailed: the actor failed or did not answer; it has been ended.
        """
        try:
            answer = self._received(timeout_s)
        except TimeoutError:
            self.close(kill=True)
            raise LaunchFailed(f"hang: no answer within {timeout_s:g} s", self.output) from None
        except ValueError:
            self.close(kill=True)
            raise LaunchFailed("crash: something else than an answer came from the process", self.output) from None
        if answer is None:
            code = self.close()
            raise LaunchFailed(f"crash: {describe_exit(code)}", self.output)
        if error := answer.get("error"):
            self.close()
            fault, final = error["reason"] != UNSUPPORTED, error["reason"] in (UNSUPPORTED, NOT_EMULATED)
            raise LaunchFailed(f"{error['reason']}: {error['message']}", self.output, fault, final)
        return answer

    def _received(self, timeout_s: float) -> dict[str, Any] | None:
        """Wait for a message, and keep the actor's output file short meanwhile."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                return self._channel.receive(max(min(LOOK_S, end - time.monotonic()), 0.001))
            except TimeoutError:
                shorten(self.output)
                if time.monotonic() >= end:
                    raise

    def close(self, kill: bool = False) -> int:
        """End the actor, by killing it or by closing its pipes; return its exit code."""
        if not self._alive:
            return 0
        self._alive = False
        if kill:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        self._channel.close()
        code = self._reap(self.pid)
        shorten(self.output)
        return code


def shorten(output: Path) -> None:
    """Cut a large output file to its end, so that a program that prints without end fills no disk."""
    with suppress(OSError), output.open("r+b") as file:
        if (size := os.fstat(file.fileno()).st_size) <= OUTPUT_BYTES:
            return
        file.seek(size - KEPT_BYTES)
        end = file.read(KEPT_BYTES)
        # The actor appends, so its next output follows the text that is written here.
        file.truncate(0)
        file.seek(0)
        file.write(end)
