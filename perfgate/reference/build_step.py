"""Runs one step of a build, such as a call of pip, and kills it in time."""

import math
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from perfgate.shared.credentials import concealed
from perfgate.shared.errors import UserError

BUILD_TIMEOUT_S = 3600
Progress = Callable[[str], None]


def run(command: Sequence[str], folder: Path, option: str, progress: Progress, end: float = math.inf) -> None:
    """Run one step of a build, and show each line that it prints.

    Args:
        command: the step.
        folder: the folder in which it runs.
        option: the option that asked for the build, for messages.
        progress: called with each line.
        end: the time at which it is killed, on the monotonic clock.

    Raises:
        TimeoutError: it had not ended by then.
        UserError: the step failed; the message has the end of its output.
    """
    said: list[str] = []
    try:
        with (
            # In a session of its own, so that all processes that it starts end with it.
            subprocess.Popen(
                command,
                cwd=folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
            ) as process,
            ended_by(process, end),
        ):
            assert process.stdout is not None
            for line in process.stdout:
                said.append(concealed(line.strip()))
                progress(f"  {said[-1]}")
            code = process.wait()
    except (OSError, subprocess.SubprocessError) as error:
        said, code = [str(error)], 1
    if code and time.monotonic() >= end:
        raise TimeoutError(f"{option}: the environment was not built in time")
    if code:
        raise UserError(
            f"{option}: the environment does not build: {' '.join(command[1:])} failed in {folder}: "
            f"{' '.join(said[-3:]) or f'exit code {code}'}"
        )


@contextmanager
def ended_by(process: "subprocess.Popen[str]", end: float) -> Iterator[None]:
    """Kill a process and all that it started when its time is over, or when an exception leaves the block."""

    def kill() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(max(min(end - time.monotonic(), BUILD_TIMEOUT_S), 0.0), kill)
    timer.start()
    try:
        yield
    except BaseException:
        kill()
        raise
    finally:
        timer.cancel()
