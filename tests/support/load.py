"""Other people's work on the machine: busy processes on the core that actors stay on."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

LIMIT_S = 120
BUSY = """
import os, sys, time
os.sched_setaffinity(0, {int(sys.argv[1])})
end = time.monotonic() + int(sys.argv[2])
print(flush=True)
while time.monotonic() < end and os.getppid() == int(sys.argv[3]):
    for _ in range(1_000_000):
        pass
"""


def actors_core() -> int:
    """The core that actors stay on."""
    return max(os.sched_getaffinity(0))


@contextmanager
def busy(count: int) -> Iterator[list[int]]:
    """This many processes that only compute; yields their ids. They end with the block, or with this process."""
    command = [sys.executable, "-c", BUSY, str(actors_core()), str(LIMIT_S), str(os.getpid())]
    # Linux shares a core among sessions before it shares it among their processes, so each has a session of its own.
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) for _ in range(count)]
    try:
        for process in started:
            assert process.stdout is not None
            process.stdout.readline()
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
