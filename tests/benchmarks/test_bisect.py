"""The benchmark of bisections: searches by recorded duets end where the slowdown was planted."""

import subprocess
import sys

import pytest

from tests import ROOT


def test_simulated_searches_find_what_was_planted() -> None:
    command = [sys.executable, "-m", "benchmarks.bisect", "--simulated", "3", "--commits", "8"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)

    assert "| found | 3 (100.0%) |" in done.stdout


@pytest.mark.slice
def test_a_planted_slowdown_is_found_by_duets() -> None:
    command = [sys.executable, "-m", "benchmarks.bisect", "--commits", "2", "--slowdown", "0.5"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
