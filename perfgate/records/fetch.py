"""Fetches run files from a URL into a local folder."""

from pathlib import Path, PurePosixPath

from perfgate.shared.errors import Unavailable, UserError

SCHEME = "://"


def is_url(name: str) -> bool:
    """Whether a name is a URL that fsspec opens, and not a path."""
    return SCHEME in name


def fetch(url: str, folder: Path) -> list[Path]:
    """Copy the run files at or below a URL.

    Args:
        url: names a file or a folder, or has a ``*``, such as ``s3://bucket/night/*.jsonl``.
        folder: a new folder for the copies.

    Raises:
        UserError: the URL holds no run file, or cannot be read.
        Unavailable: fsspec is not installed.
    """
    try:
        import fsspec
    except ImportError:
        raise Unavailable(f"{url}: a URL needs fsspec; install it with: pip install 'perfgate[history]'") from None
    try:
        files, root = fsspec.core.url_to_fs(url)
        found = sorted(files.glob(root) if "*" in root else [root] if files.isfile(root) else files.find(root))
        names = [name for name in found if name.endswith(".jsonl")]
        folder.mkdir(parents=True)
        copies = [folder / f"{number}-{PurePosixPath(name).name}" for number, name in enumerate(names)]
        for name, copy in zip(names, copies, strict=True):
            files.get_file(name, str(copy))
    except Exception as error:  # each kind of store has its own errors
        told = next(iter(str(error).splitlines()), "")
        raise UserError(f"{url}: cannot be read: {type(error).__name__}{f': {told}' if told else ''}") from None
    if not copies:
        raise UserError(f"{url}: holds no run file (*.jsonl)")
    return copies
