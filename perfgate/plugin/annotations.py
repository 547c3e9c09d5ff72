"""Marks failing cases in a pull request, by lines that GitHub's runner reads from a run's output."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfgate.plugin.ends import first_line


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether GitHub's runner reads the output."""
    return environment.get("GITHUB_ACTIONS") == "true"


def annotation(report: Any, root: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The line that marks a failing case: its file, its line, its name, and why it failed.

    The cases of one test share a line of the file, so the mark has the case's name.

    Args:
        report: the report of the failed case.
        root: pytest's root folder; the report's file is relative to it.
        environment: the environment variables, which name the repository's folder.
    """
    name, number, _ = report.location
    path, workspace = (root / name).resolve(), environment.get("GITHUB_WORKSPACE", "")
    if workspace and path.is_relative_to(Path(workspace).resolve()):
        name = str(path.relative_to(Path(workspace).resolve()))
    place = f"file={escaped(name, more=True)},line={(number or 0) + 1},title=perfgate"
    case = (getattr(report, "perfgate", None) or {}).get("case", report.nodeid)
    return f"::error {place}::{escaped(f'{case}: {first_line(report)}')}"


def escaped(text: str, more: bool = False) -> str:
    """A text in the form of the runner's commands; ``more`` if it is a property's value, before the last two colons."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if more else text
