"""Locks on devices: one timed pass at a time, from whichever process; passes that are not timed share the device."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import ReadWriteLock


class DeviceLock:
    """A lock on a device, held during a launch; the kernel releases it if its holder dies.

    Args:
        device: name of the device; one lock stands for all cores of a CPU.
        folder: the folder of the lock's file, which all processes that share the device must use.
    """

    def __init__(self, device: str, folder: Path | None = None) -> None:
        place = folder or Path(tempfile.gettempdir()) / f"perfgate-{os.getuid()}"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = ReadWriteLock(place / f"{device.replace(os.sep, '-')}.lock.db")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the device alone, for a timed pass."""
        with self._lock.write_lock():
            yield

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Share the device, for a pass whose result does not depend on other processes."""
        with self._lock.read_lock():
            yield
