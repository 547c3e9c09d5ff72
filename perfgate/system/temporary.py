"""Temporary folders that are gone afterwards, even if Ctrl-C comes while they are being deleted."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp

INTERRUPTS = 10  # after so many the folder is left


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A new folder for the time of the block, under a random name."""
    folder = Path(mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        removed(folder)


def removed(folder: Path, last: str = "") -> None:
    """Delete a folder, if it is there; an interrupt that comes meanwhile is raised once it is gone.

    Args:
        folder: its path.
        last: the name of a file in it that is deleted after all others, such as a claim.
    """
    interrupt = None
    for _ in range(INTERRUPTS):
        try:
            with suppress(OSError):  # it is gone, or what is left of it may not be touched
                for path in folder.iterdir():
                    if path.name != last:
                        deleted(path)
            deleted(folder)
            break
        except KeyboardInterrupt as error:
            interrupt = error
    if interrupt:
        raise interrupt


def deleted(path: Path) -> None:
    """Delete a file, a link or a whole folder, as far as that is possible."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()
