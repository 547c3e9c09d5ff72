"""Builds the wheel and the sdist of this checkout, and environments that have the wheel and do not see the checkout."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests import ROOT

SMOKE = """
from perfgate import Model

TINY = Model(
    "tiny",
    {"config": {"model_type": "gpt2", "vocab_size": 64, "n_embd": 16, "n_layer": 1, "n_head": 2}},
    {"causal-lm": "GPT2LMHeadModel"},
    tier="smoke",
)


def test_it(perf, training):
    perf(training(TINY, batch_size=1, sequence_length=8))
"""


def build(folder: Path) -> list[Path]:
    """Build this checkout's wheel and sdist into a folder, with installed tools: nothing is downloaded."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    return sorted(folder.iterdir())


def environment(folder: Path, wheel: Path, python: str = sys.executable, libraries: bool = False) -> Path:
    """Install a wheel without its requirements into a new environment; returns the folder of its commands.

    Args:
        folder: the folder of the environment, which does not exist yet.
        wheel: the wheel to install.
        python: the interpreter that makes the environment.
        libraries: whether it sees the packages that are installed here, behind its own. Files of theirs that add
            further folders to the path are not read, so the checkout, which is installed here by such a file, is not
            seen.
    """
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    commands = folder / "bin"
    install = [str(commands / "python"), "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    if libraries:
        (own,) = folder.glob("lib/python*/site-packages")
        (own / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return commands


def outside(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, without variables that lead to the checkout."""
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTEST_", "PERFGATE_", "COVERAGE_", "COV_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, check=False)
