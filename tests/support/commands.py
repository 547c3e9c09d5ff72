"""Runs commands in separate processes, to read their decisions or their refusals."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs import perfgate, write_run

Lines = Sequence[dict[str, Any]]
FORMATS = ("terminal", "markdown", "csv", "json")


def head(base: Path, lines: Lines, **changes: Any) -> Path:
    """A run file beside another one."""
    return write_run(base.with_name("head.jsonl"), lines, **changes)


def compared(*arguments: str | Path) -> tuple[int, dict[tuple[str, str], dict[str, Any]], dict[str, int]]:
    """The exit code, the verdicts by case and metric, and the summary of a comparison."""
    done = perfgate("compare", "--json", *arguments)
    assert done.stderr == ""
    document = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert set(document) == {"verdicts", "summary"}
    found = {(verdict["case"], verdict["metric"]): verdict for verdict in document["verdicts"]}
    assert len(found) == len(document["verdicts"])
    return done.returncode, found, document["summary"]


def refuse(*arguments: str | Path, code: int = 2, **options: Any) -> str:
    """The message of a command that refuses: one line on standard error."""
    done = perfgate(*arguments, **options)
    assert "Traceback" not in done.stderr
    assert (done.returncode, done.stdout or "") == (code, "")
    assert done.stderr.startswith("perfgate")
    assert done.stderr.count("\n") == 1
    return done.stderr
