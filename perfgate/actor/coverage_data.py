"""Coverage of code in actors: coverage's own support for subprocesses, adapted to forks and ``os._exit``.

Tracing multiplies the time of Python code, so only untimed launches are traced.
"""

import sys
from typing import Any

TRACED = ("counters", "dry")  # each case has one of these passes, and they run the same code as its timed launches


def started() -> Any:
    """The coverage that was started with the fork server, or ``None``."""
    module = sys.modules.get("coverage")
    return module.Coverage.current() if module else None


def trace_only_untimed(pass_name: str) -> None:
    """Stop tracing in passes whose measurements tracing would change."""
    if pass_name not in TRACED and (coverage := started()):
        coverage.stop()
        sys.modules.pop("coverage")  # then there is nothing to save


def save() -> None:
    """Save the traced data before the last answer, because the stage kills an actor once it has that answer."""
    if coverage := started():
        coverage.stop()
        coverage.save()
