"""The one exception for what a user can mend."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something a user gave cannot be used.

    The message is one sentence that names the file or key and the remedy; it is printed without a traceback.
    """


class Unavailable(UserError):  # noqa: N818  a reason to skip, not an error
    """Something that is not installed here; the case that needs it is skipped."""


def nearest(value: object, known: Iterable[object]) -> str:
    """What it may be, and what was perhaps meant, as the end of a sentence."""
    names = [str(name) for name in known]
    close = get_close_matches(str(value), names, 1)
    return f"; it may be {', '.join(names)}{f' (did you mean {close[0]}?)' if close else ''}"
