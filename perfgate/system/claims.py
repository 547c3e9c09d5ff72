"""Claims: locked files that show that a process still needs the files beside them.

The kernel releases a claim when its process ends in any way. A later run can therefore tell the files of a killed run
from files in use, and delete them.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from perfgate.system.file_locks import flock_holds


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold a claim within the block; its file is deleted afterwards.

    Raises:
        OSError: the file cannot be written.
    """
    # The file gets its name only when it is locked, so that nobody finds it unlocked before.
    unnamed = path.with_name(f"{path.name}-{os.getpid()}")
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with suppress(OSError):  # a file system without locks: nobody can then tell that the claim is abandoned
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(path)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def abandoned(path: Path) -> bool:
    """Whether the process that held a claim ended without releasing it; false if that cannot be told."""
    if not flock_holds(path):
        return False
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)
