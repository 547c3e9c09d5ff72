"""Locks on devices: one timed pass at a time, from whichever process; passes that are not timed share the device."""

import fcntl
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

from filelock import ReadWriteLock

from perfgate.shared.private import private

HELD: Counter[Path] = Counter()  # locks that this process holds now


class DeviceLock:
    """A lock on a device, held during a launch; the kernel releases it if its holder dies.

    Processes get it in the order in which they ask, so that none waits for long among many: each waits for its turn,
    then for the lock, and ends its turn once it has the lock.

    Args:
        device: name of the device; one lock stands for all cores of a CPU.
        folder: the folder of the lock's files, which all processes that share the device must use.

    Raises:
        UserError: the usual folder belongs to somebody else.
    """

    def __init__(self, device: str, folder: Path | None = None) -> None:
        place = folder or private(Path(tempfile.gettempdir()) / f"perfgate-{os.getuid()}")
        name = device.replace(os.sep, "-")
        self._lock = ReadWriteLock(place / f"{name}.lock.db")
        self._turns = place / f"{name}.turn"

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the device alone, for a timed pass."""
        with self._in_turn(self._lock.write_lock()):
            yield

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Share the device, for a pass whose result does not depend on other processes."""
        with self._in_turn(self._lock.read_lock()):
            yield

    @contextmanager
    def kept(self) -> Iterator[int]:
        """Hold the device alone for several passes, together with the turn, so that nobody gets it in between.

        Yields: A file descriptor of the turn. Nobody else gets the device until every process with this descriptor has
            closed it or ended, even if this process is killed.
        """
        with self._turns.open("a") as turn:
            fcntl.flock(turn, fcntl.LOCK_EX)
            with self._lock.write_lock():
                HELD[self._turns] += 1
                try:
                    yield turn.fileno()
                finally:
                    HELD.subtract([self._turns])

    @contextmanager
    def _in_turn(self, lock: AbstractContextManager[Any]) -> Iterator[None]:
        with ExitStack() as stack:
            with self._turn():
                stack.enter_context(lock)
            HELD[self._turns] += 1
            stack.callback(HELD.subtract, [self._turns])
            yield

    @contextmanager
    def _turn(self) -> Iterator[None]:
        # A process that holds the lock must not wait behind a process that waits for it.
        if HELD[self._turns]:
            yield
            return
        with self._turns.open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
