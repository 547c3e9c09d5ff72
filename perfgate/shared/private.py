"""Folders that only this user can access, and files that are no links."""

import errno
import os
from pathlib import Path

from perfgate.shared.errors import UserError

ALONE = 0o700


def private(folder: Path) -> Path:
    """A folder that nobody else can read or write; it is made if it does not exist.

    Raises:
        UserError: it is somebody else's, or a link that somebody else made, or cannot be made.
    """
    try:
        folder.mkdir(mode=ALONE, parents=True, exist_ok=True)
        if {folder.stat().st_uid, folder.lstat().st_uid} != {os.getuid()}:
            raise UserError(f"{folder}: belongs to somebody else, so it is not used; set TMPDIR or XDG_CACHE_HOME")
        if folder.stat().st_mode & 0o077:
            folder.chmod(ALONE)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made: {error.strerror}") from None
    return folder


def no_link(path: str, flags: int) -> int:
    """Opens a file, for ``open(..., opener=no_link)``; refuses a link.

    Raises:
        UserError: it is a link.
    """
    try:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise UserError(f"{path}: is a link, and is not followed; remove it") from None


def write_no_link(path: Path, text: str) -> None:
    """Write a file; refuses a link in its place, which could lead to another file.

    Raises:
        OSError: it cannot be written.
        UserError: it is a link.
    """
    with open(path, "w", encoding="utf-8", opener=no_link) as file:
        file.write(text)
