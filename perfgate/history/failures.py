"""Turns the failures of file systems and of damaged files into sentences."""

from collections.abc import Iterator
from contextlib import contextmanager

from perfgate.shared.errors import UserError


@contextmanager
def intact(what: str) -> Iterator[None]:
    """Turn the errors of reading a damaged file into a sentence.

    Raises:
        FileNotFoundError: another process removed a file.
        UserError: the message names the damaged file.
    """
    try:
        yield
    except (FileNotFoundError, UserError):
        raise
    except Exception as error:  # pyarrow, DuckDB and zlib raise exceptions of their own
        told_by = next(iter(str(error).splitlines()), "")
        raise UserError(
            f"{what}: cannot be read ({type(error).__name__}: {told_by}); a file there is damaged, or is not "
            "Perfgate's: put it back from a copy, or remove it"
        ) from None


@contextmanager
def told(url: str) -> Iterator[None]:
    """Turn the errors of a file system into a sentence."""
    try:
        yield
    except (FileNotFoundError, UserError):
        raise
    except Exception as error:  # the packages of object stores raise exceptions of their own
        raise UserError(f"{url}: {getattr(error, 'strerror', None) or error}") from None
