"""The example repositories of docs/examples, each in a checkout of its own."""

import shutil
from pathlib import Path

from tests import ROOT
from tests.support.repositories import commit, git

EXAMPLES = ROOT / "docs" / "examples"


def checked_out(name: str, folder: Path) -> Path:
    """A repository of an example below a folder, with one commit on ``main``."""
    repository = folder / name
    shutil.copytree(EXAMPLES / name, repository, ignore=shutil.ignore_patterns("__pycache__", "perf_output"))
    git(repository, "init", "-q", "-b", "main")
    commit(repository, "the example")
    return repository


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Replace some code, each piece of which stands there once."""
    text = path.read_text()
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text)
