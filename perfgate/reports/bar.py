"""Reports changes that move the bar before anything else, so that no branch moves its own bar unseen."""

from collections.abc import Callable, Sequence

MOST_FILES = 10


def bar_lines(bar: Sequence[str], show: Callable[[str], str] = str) -> list[str]:
    """A sentence about changes that move the bar; empty without such changes.

    Args:
        bar: names of the changed files.
        show: a function that writes a name.
    """
    if not bar:
        return []
    more = f" and {len(bar) - MOST_FILES} more" if len(bar) > MOST_FILES else ""
    return [f"This change moves its own bar: {', '.join(map(show, bar[:MOST_FILES]))}{more}"]
