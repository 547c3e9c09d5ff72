"""The command that users type, for messages that tell them what to run."""

import os


def command() -> str:
    """The command that runs this suite: ``pytest``, or the name that a wrapper such as ``ci/perf`` uses for itself."""
    return os.environ.get("PERFGATE_COMMAND", "pytest")
