"""One timed pass a device at a time, whoever runs it; passes that take no time share the device."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import ReadWriteLock


class DeviceLock:
    """Held over a launch, by name of the device; released by the kernel if its holder dies.

    Args:
        device: on a CPU one lock stands for all of its cores.
        folder: where the lock's file lies; all processes that share the device must use the same.
    """

    def __init__(self, device: str, folder: Path | None = None) -> None:
        place = folder or Path(tempfile.gettempdir()) / f"perfgate-{os.getuid()}"
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = ReadWriteLock(place / f"{device.replace(os.sep, '-')}.lock.db")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """For a timed pass."""
        with self._lock.write_lock():
            yield

    @contextmanager
    def shared(self) -> Iterator[None]:
        """For a pass whose result does not depend on what else runs."""
        with self._lock.read_lock():
            yield
