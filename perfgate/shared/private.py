"""Folders that are this user's alone."""

import os
from pathlib import Path

from perfgate.shared.errors import UserError

ALONE = 0o700


def private(folder: Path) -> Path:
    """A folder that nobody else reads or writes; it is made if it is not there.

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
