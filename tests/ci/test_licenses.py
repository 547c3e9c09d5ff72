"""The licences of what Perfgate needs: all that is installed may be used, and what may not is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT


def listed(*packages: str, places: str = "") -> subprocess.CompletedProcess[str]:
    """What the command says of packages, some of which lie in further folders."""
    command = [sys.executable, str(ROOT / "ci" / "licenses.py"), *packages]
    environment = os.environ | {"PYTHONPATH": places}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def install(folder: Path, name: str, *lines: str) -> None:
    """Install a package that is nothing but its metadata."""
    place = folder / f"{name}-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("\n".join(("Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines, "")))


@pytest.mark.slice
def test_every_installed_package_that_perfgate_needs_may_be_used():
    done = listed()
    names = {line.split()[0] for line in done.stdout.splitlines()}

    assert done.returncode == 0, done.stdout
    # What it needs by itself, by an extra, by an extra of an extra, and by a package that it needs.
    assert {"pytest", "torch", "mypy", "duckdb", "MarkupSafe"} <= names


@pytest.mark.parametrize(
    ("lines", "allowed"),
    [
        (["License-Expression: MIT"], True),
        (["License-Expression: AGPL-3.0-only"], False),
        (["License-Expression: GPL-3.0-only OR MIT"], True),
        (["License-Expression: MIT AND (GPL-3.0-only OR AGPL-3.0-only)"], False),
        (["License-Expression: Apache-2.0 WITH LLVM-exception"], True),
        (["Classifier: License :: OSI Approved :: BSD License"], True),
        (["License: MIT", "Classifier: License :: OSI Approved :: GNU General Public License (GPL)"], False),
        (["License: Copyright 2026, all rights reserved"], False),
        (["License: UNKNOWN"], False),
        ([], False),
    ],
    ids=lambda value: ", ".join(value) if isinstance(value, list) else "",
)
def test_a_licence_is_judged_wherever_the_metadata_tell_it(tmp_path, lines, allowed):
    install(tmp_path, "outer", "License-Expression: MIT", "Requires-Dist: inner", "Requires-Dist: not-installed-here")
    install(tmp_path, "inner", *lines)
    done = listed("outer", places=str(tmp_path))

    assert done.returncode == (0 if allowed else 1), done.stdout
    assert [line.split()[0] for line in done.stdout.splitlines()[:2]] == ["inner", "outer"]
    assert ("Not to be used" in done.stdout) is not allowed
    assert allowed or "inner (" in done.stdout
