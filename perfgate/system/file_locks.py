"""Locks in folders that several machines may share; each kind is tested before it is relied on."""

import fcntl
import os
from pathlib import Path
from typing import TYPE_CHECKING

from perfgate.shared.errors import UserError

if TYPE_CHECKING:
    from filelock import BaseFileLock

MOUNTS = Path("/proc/self/mountinfo")
# Mount options with which flock excludes only processes of the same machine:
# nfs(5), mount.lustre(8) and mount.cifs(8).
LOCAL_ALONE = {"nolock", "local_lock=flock", "local_lock=all", "localflock", "nobrl"}
OPEN = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def folder_lock(folder: Path, timeout_s: float) -> "BaseFileLock":
    """The lock for writing in a folder: flock, or else a file that only one process can create.

    Args:
        folder: the folder, which exists.
        timeout_s: how long to wait for another process's lock.

    Raises:
        OSError: the folder cannot be written.
        UserError: neither kind of lock works there.
    """
    from filelock import FileLock, SoftFileLock

    file = folder / ".lock"
    os.close(os.open(file, OPEN, 0o644))
    if by_flock(file):
        return FileLock(file, timeout=timeout_s)
    return SoftFileLock(folder / ".soft.lock", timeout=timeout_s)


def by_flock(file: Path) -> bool:
    """Whether a folder's lock uses flock, or else a file that only one process can create.

    Args:
        file: an existing file in the folder.

    Raises:
        UserError: neither kind of lock works.
    """
    if flock_holds(file):
        return True
    if exclusive_holds(file):
        return False
    raise UserError(
        f"{file.parent}: no lock holds on its file system, so two runs could write over each other, and nothing is "
        "stored there; name a folder on another disk with --perf-baselines DIR"
    )


def flock_holds(file: Path) -> bool:
    """Whether flock on this existing file excludes every other process."""
    if local_alone(file):
        return False
    opened: list[int] = []
    try:
        opened += [os.open(file, OPEN & ~os.O_CREAT) for _ in range(2)]
        # Two open files of one process exclude each other as those of two processes do.
        return any(map(is_refused, opened))
    except OSError:
        return False
    finally:
        for descriptor in opened:
            os.close(descriptor)


def is_refused(descriptor: int) -> bool:
    """Whether another open file has the lock; if not, this one has it now."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    return False


def exclusive_holds(file: Path) -> bool:
    """Whether an existing file cannot be created a second time."""
    try:
        os.close(os.open(file, OPEN | os.O_EXCL))
    except FileExistsError:
        return True
    return False


def local_alone(file: Path) -> bool:
    """Whether the mount of a file declares that its locks hold on this machine alone."""
    try:
        mounts, device = MOUNTS.read_text(encoding="utf-8", errors="replace"), file.stat().st_dev
    except OSError:
        return False
    return f"{os.major(device)}:{os.minor(device)}" in without_shared_locks(mounts)


def without_shared_locks(mounts: str) -> set[str]:
    """The devices, as ``major:minor``, of the mounts whose locks hold on one machine alone.

    Args:
        mounts: the text of ``/proc/self/mountinfo``; its form is described in proc(5).
    """
    found = set()
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        fields, options = before.split(), after.rpartition(" ")[2].split(",")
        if len(fields) > 5 and LOCAL_ALONE & {*options, *fields[5].split(",")}:
            found.add(fields[2])
    return found
