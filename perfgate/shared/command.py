"""The command that people type here."""

import os


def command() -> str:
    """The command that people type here."""
    return os.environ.get("PERFGATE_COMMAND", "pytest")
