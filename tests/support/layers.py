"""A user's repository: one model, two cases, and changes to it that are slower or change nothing."""

import sys
from pathlib import Path

from tests.support.repositories import commit, git

MODELS = """
import torch
from perfgate import Program


class Layers(Program):
    def __init__(self, device):
        self.layers = torch.nn.ModuleList(torch.nn.Linear(16, 16) for _ in range(LAYERS))

    def step(self):
        value = torch.zeros(4, 16)
        for layer in self.layers:
            value = layer(value)
        return value


class Single(Program):
    def __init__(self, device):
        self.layer = torch.nn.Linear(16, 16)

    def step(self):
        return self.layer(torch.zeros(4, 16))


LAYERS = 5
"""
CASES = """
from perfgate import Workload


def test_layers(perf):
    perf(Workload("models:Layers", {}))


def test_single(perf):
    perf(Workload("models:Single", {}))
"""
CHANGES = {
    "slower": ("LAYERS = 5", "LAYERS = 6"),
    "refactored": ("        value = torch.zeros(4, 16)\n", "        value = torch.zeros((4, 16))  # a batch\n"),
}
# The path on which a CI system's shell finds Python and git, and an index where pip must not look.
SHELL = {"CI": "true", "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "PIP_NO_INDEX": "1"}


def make(folder: Path, files: dict[str, str]) -> Path:
    """Make the repository.

    Args:
        folder: the folder that becomes the repository.
        files: further files by path, such as a CI system's.
    """
    files = {
        "models.py": MODELS,
        "perf_tests/test_layers.py": CASES,
        "requirements.txt": "perfgate\n",
        "pytest.ini": "[pytest]\naddopts = -p no:benchmark -p no:randomly\nperf_env = installed\n",
        ".gitignore": "perf_output/\n__pycache__/\n",
    } | files
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "a model")
    return folder


def changed(repository: Path, clone: Path, change: str) -> Path:
    """A fresh clone with a branch that has one of ``CHANGES``."""
    git(repository, "clone", "-q", str(repository), str(clone))
    git(clone, "checkout", "-q", "-b", change)
    old, new = CHANGES[change]
    text = (clone / "models.py").read_text()
    assert old in text
    (clone / "models.py").write_text(text.replace(old, new))
    commit(clone, change)
    return clone
