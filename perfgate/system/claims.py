"""Claims: files that say that a process still needs what lies beside them.

The kernel gives a claim up together with its process, however that ends. So what a killed run left behind can be told
from what another run is using, and is cleared away by whoever comes next.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from perfgate.system.file_locks import flock_holds


@contextmanager
def claimed(path: Path) -> Iterator[None]:
    """Hold a claim within the block; its file is gone afterwards.

    Raises:
        OSError: the file cannot be written.
    """
    # It gets its name when it is locked, so that nobody finds it free before.
    unnamed = path.with_name(f"{path.name}-{os.getpid()}")
    descriptor = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with suppress(OSError):  # of a file system without locks: then nobody can tell that it is abandoned either
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        unnamed.rename(path)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def abandoned(path: Path) -> bool:
    """Whether the process that held a claim has ended without giving it up; false where nobody can tell."""
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
