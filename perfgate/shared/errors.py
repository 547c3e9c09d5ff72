"""The exceptions for mistakes that a user can correct, and for things that are not installed."""

from collections.abc import Iterable
from difflib import get_close_matches

from perfgate.shared.credentials import concealed


class UserError(Exception):
    """A value, file or command of the user cannot be used.

    The message is one sentence that names the file or key, and says what helps. It is printed without a traceback, and
    without users and passwords of addresses.

    Args:
        message: the sentence.
        details: the output of another process that failed; shown separately from the sentence.
    """

    def __init__(self, message: str = "", details: str = "") -> None:
        super().__init__(concealed(message))
        self.details = concealed(details)


class Unavailable(UserError):  # noqa: N818  a reason to skip, not an error
    """A package or device that a case needs is not available here, so the case is skipped."""


def nearest(value: object, known: Iterable[object]) -> str:
    """The end of a sentence that lists the known values and suggests the closest one; empty if none is known."""
    names = [str(name) for name in known]
    if not names:
        return ""
    close = get_close_matches(str(value), names, 1)
    return f"; it may be {', '.join(names)}{f' (did you mean {close[0]}?)' if close else ''}"
