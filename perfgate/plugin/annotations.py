"""Marks the lines of failing cases in a pull request, where GitHub's runner reads what a run prints."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perfgate.plugin.ends import first_line


def wanted(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether GitHub's runner reads what is printed."""
    return environment.get("GITHUB_ACTIONS") == "true"


def annotation(report: Any, root: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The line that marks a failing case: its file as the repository has it, its line, its name, and why.

    Cases of one test share a line of the file, so each says its own name.

    Args:
        report: of the case, which failed.
        root: pytest's root folder, which the report's file is relative to.
        environment: with the folder of the repository.
    """
    name, number, _ = report.location
    path, workspace = (root / name).resolve(), environment.get("GITHUB_WORKSPACE", "")
    if workspace and path.is_relative_to(Path(workspace).resolve()):
        name = str(path.relative_to(Path(workspace).resolve()))
    place = f"file={escaped(name, more=True)},line={(number or 0) + 1},title=perfgate"
    case = (getattr(report, "perfgate", None) or {}).get("case", report.nodeid)
    return f"::error {place}::{escaped(f'{case}: {first_line(report)}')}"


def escaped(text: str, more: bool = False) -> str:
    """A text as a command of the runner holds it; ``more`` where it is a value before the last two colons."""
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if more else text
