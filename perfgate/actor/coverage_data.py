"""Coverage of code that runs in actors: coverage's own support of subprocesses, around forks and ``os._exit``.

Tracing multiplies the time of Python code, so only launches of which nothing is timed are traced.
"""

import sys
from typing import Any

TRACED = ("counters", "dry")  # each case has one of these, and they run the same code as its timed launches


def started() -> Any:
    """The coverage that was started with the fork server; ``None`` where none was."""
    module = sys.modules.get("coverage")
    return module.Coverage.current() if module else None


def trace_only_untimed(pass_name: str) -> None:
    """Stop tracing where something is measured that it would change."""
    if pass_name not in TRACED and (coverage := started()):
        coverage.stop()
        sys.modules.pop("coverage")  # nothing is left to save


def save() -> None:
    """Write what was traced, before the last answer: the stage kills an actor as soon as it has that."""
    if coverage := started():
        coverage.stop()
        coverage.save()
